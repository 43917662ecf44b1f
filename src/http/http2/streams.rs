//! What the streams of a connection share with its task.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::ConnectionInfo;
use crate::request::RequestContext;

/// The streams in work on a connection.
pub(super) struct Streams {
    info: ConnectionInfo,
    open: AtomicUsize,
    begun: Instant,
    /// When the last stream ended, in milliseconds since `begun`.
    idle_since: AtomicU64,
    /// Those who wait until what h2 has of them is on the wire.
    unflushed: Mutex<Unflushed>,
}

#[derive(Default)]
struct Unflushed {
    /// How often everything has been written.
    flushes: u64,
    waiting: Vec<Waker>,
}

impl Streams {
    pub(super) fn new(info: ConnectionInfo) -> Arc<Self> {
        Arc::new(Self {
            info,
            open: AtomicUsize::new(0),
            begun: Instant::now(),
            idle_since: AtomicU64::new(0),
            unflushed: Mutex::default(),
        })
    }

    pub(super) fn open(self: &Arc<Self>, context: RequestContext) -> OpenStream {
        self.open.fetch_add(1, Ordering::AcqRel);
        OpenStream { context, streams: Arc::clone(self), complete: false }
    }

    /// Since when no stream has been in work; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.open.load(Ordering::Acquire) == 0;
        idle.then(|| self.begun + Duration::from_millis(self.idle_since.load(Ordering::Acquire)))
    }

    /// Everything that h2 had is on the wire.
    pub(super) fn flushed(&self) {
        let mut unflushed = self.unflushed.lock().unwrap_or_else(PoisonError::into_inner);
        unflushed.flushes += 1;
        for waker in unflushed.waiting.drain(..) {
            waker.wake();
        }
    }

    /// Waits until everything that has been given to h2 is on the wire: a reset takes back what is not. What the
    /// client's window does not take stays with h2.
    pub(super) async fn flush(&self) {
        let mut seen = None;
        std::future::poll_fn(|cx| self.poll_flush(&mut seen, cx)).await;
    }

    fn poll_flush(&self, seen: &mut Option<u64>, cx: &Context<'_>) -> Poll<()> {
        let mut unflushed = self.unflushed.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen.get_or_insert(unflushed.flushes) < unflushed.flushes {
            return Poll::Ready(());
        }
        unflushed.waiting.push(cx.waker().clone());
        drop(unflushed);
        self.info.wake_driver(); // there may be nothing left to write
        Poll::Pending
    }
}

/// A stream in work; dropped before its answer is complete, it tells the handler's helpers.
pub(super) struct OpenStream {
    context: RequestContext,
    streams: Arc<Streams>,
    complete: bool,
}

impl OpenStream {
    pub(super) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The client has all of the answer, or will have.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    /// See [`Streams::flush`].
    pub(super) async fn flush(&self) {
        self.streams.flush().await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if !self.complete {
            self.context.abort();
        }
        let now = u64::try_from(self.streams.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.streams.idle_since.store(now, Ordering::Release);
        self.streams.open.fetch_sub(1, Ordering::AcqRel);
    }
}
