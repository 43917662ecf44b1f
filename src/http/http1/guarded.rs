//! A stream with the gate around it, for a server that we do not drive: `axum::serve`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::answers::{Answers, Finished};
use super::gate::Gate;
use super::timer::Timer;
use super::waker::remember;
use crate::connection::ConnectionInfo;
use crate::http::rules::Rules;
use crate::telemetry::events;
use crate::transport::BoxIo;

/// The stream of a connection with its guards on: what is not a good request never comes out of
/// it, and a client that is too slow finds it ended.
///
/// What [`KestrelListener::into_axum`](crate::KestrelListener::into_axum) gives to `axum::serve`.
///
/// # Example
///
/// ```no_run
/// # use axum::Router;
/// # use kestrel_rs::KestrelListener;
/// # async fn example(app: Router) -> Result<(), Box<dyn std::error::Error>> {
/// let listener = KestrelListener::bind("http://127.0.0.1:8080").await?;
/// axum::serve(listener.into_axum()?, app).await?;
/// # Ok(()) }
/// ```
pub struct GuardedStream {
    gate: Gate,
    info: ConnectionInfo,
    rules: Arc<Rules>,
    answers: Answers,
    /// Requests that were passed on and are not answered yet.
    unanswered: usize,
    timer: Timer,
    waits: (Waits, usize),
    since: Instant,
    served: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Nothing more is written; how long the client is still listened to.
    lingers_until: Option<Instant>,
    /// Tells the connection's task that the stream is gone.
    _dropped: oneshot::Sender<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "they are read as `Waits::ForRequest`")]
enum Waits {
    ForHandler,
    ForRequest,
    ForRestOfHead,
}

/// How long a client is listened to that gets no more of us.
const LINGER: Duration = Duration::from_secs(5);

impl GuardedStream {
    pub(crate) fn new(
        io: BoxIo,
        info: ConnectionInfo,
        rules: Arc<Rules>,
        dropped: oneshot::Sender<()>,
    ) -> Self {
        Self {
            gate: Gate::standalone(io, rules.clone()),
            info,
            rules,
            answers: Answers::new(),
            unanswered: 0,
            timer: Timer::default(),
            waits: (Waits::ForHandler, 0),
            since: Instant::now(),
            served: 0,
            reader: None,
            writer: None,
            lingers_until: None,
            _dropped: dropped,
        }
    }

    /// What is known of the connection.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Ready when the time for what the client owes us is over.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<Waits> {
        let waits = if self.gate.is_tunnel() || self.unanswered > 0 {
            Waits::ForHandler
        } else if self.gate.has_partial_head() {
            Waits::ForRestOfHead
        } else {
            Waits::ForRequest
        };
        if (waits, self.served) != self.waits {
            self.waits = (waits, self.served);
            self.since = Instant::now();
        }
        let patience = match waits {
            Waits::ForHandler => None,
            Waits::ForRequest => self.rules.keep_alive,
            Waits::ForRestOfHead => self.rules.request_headers,
        };
        let Some(deadline) = patience.and_then(|patience| self.since.checked_add(patience)) else {
            return Poll::Pending;
        };
        self.timer.poll(deadline, cx).map(|()| waits)
    }

    /// An error once the client has taken our answer too slowly.
    fn poll_rate(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(deadline) = self.gate.output.deadline() else { return Ok(()) };
        if self.timer.poll(deadline, cx).is_pending() {
            return Ok(());
        }
        events::response_too_slow(&self.info);
        self.info.abort();
        Err(io::ErrorKind::TimedOut.into())
    }

    fn aborted(&mut self, cx: &Context<'_>, reads: bool) -> io::Result<()> {
        let slot = if reads { &mut self.reader } else { &mut self.writer };
        if remember(slot, cx) {
            self.info.set_driver(cx.waker());
        }
        if self.info.wants_abort() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    fn follow(&mut self, written: &[IoSlice<'_>], mut octets: usize) {
        if self.gate.is_tunnel() {
            return;
        }
        for piece in written {
            let piece = &piece[..piece.len().min(octets)];
            octets -= piece.len();
            let (gate, unanswered) = (&mut self.gate, &mut self.unanswered);
            let mut ended = 0;
            let mut upgraded = None;
            self.answers.advance(
                piece,
                &self.rules.head,
                || gate.next_request().method(),
                |finished| match finished {
                    Finished::Answer => ended += 1,
                    Finished::Upgrade(granted) => upgraded = Some(granted),
                },
            );
            if let Some(granted) = upgraded {
                gate.decide_upgrade(granted);
                if gate.is_tunnel() {
                    *unanswered = 0;
                    self.info.release_slots();
                }
            }
            *unanswered = unanswered.saturating_sub(ended);
            self.served += ended;
            if (ended > 0 || upgraded.is_some())
                && let Some(reader) = self.reader.take()
            {
                reader.wake();
            }
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.aborted(cx, true)?;
        loop {
            let before = this.gate.passed_requests();
            let filled = buf.filled().len();
            match this.gate.poll_read(cx, buf) {
                Poll::Ready(result) => {
                    this.unanswered += this.gate.passed_requests() - before;
                    let ended = result.is_ok() && buf.filled().len() == filled && buf.remaining() > 0;
                    // Whoever sees the end of the stream drops the answers in work.
                    if ended && this.unanswered > 0 {
                        return Poll::Pending;
                    }
                    return Poll::Ready(result);
                }
                Poll::Pending => match ready!(this.poll_time(cx)) {
                    Waits::ForRestOfHead => this.gate.time_out(),
                    Waits::ForRequest | Waits::ForHandler => this.gate.end(),
                },
            }
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        this.aborted(cx, false)?;
        match this.gate.poll_write(cx, bufs) {
            Poll::Ready(Ok(n)) => {
                this.follow(bufs, n);
                Poll::Ready(Ok(n))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                this.poll_rate(cx)?;
                Poll::Pending
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.aborted(cx, false)?;
        let flushed = this.gate.poll_flush(cx);
        if flushed.is_pending() {
            this.poll_rate(cx)?;
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingers_until.is_none() {
            let closed = this.gate.poll_shutdown(cx);
            if closed.is_pending() {
                this.poll_rate(cx)?;
            }
            ready!(closed)?;
            if !this.gate.has_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        // A socket that closes with octets unread resets, and the client loses our last words.
        let until = *this.lingers_until.get_or_insert_with(|| Instant::now() + LINGER);
        if this.gate.poll_discard(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.timer.poll(until, cx).map(Ok)
    }
}

impl std::fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStream").field("info", &self.info).finish_non_exhaustive()
    }
}
