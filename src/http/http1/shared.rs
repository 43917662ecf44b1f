//! What the driver, hyper's stream and the exchange on the way share of one connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::gate::Gate;
use crate::connection::ConnectionInfo;
use crate::http::upgrade::UpgradeLimit;
use crate::request::RequestContext;

/// One task does nearly all of the locking, so the lock is all but free.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    info: ConnectionInfo,
    upgrades: Arc<UpgradeLimit>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) gate: Gate,
    /// The request whose answer is not complete.
    pub(super) current: Option<RequestContext>,
    /// The head of its answer is on its way.
    pub(super) answer_begun: bool,
    /// What nobody wanted of its body: to be read and thrown away once the answer is complete.
    pub(super) unread: Option<Incoming>,
    /// Requests so far.
    pub(super) number: u64,
    /// A request has come after the last one that is answered.
    pub(super) behind_last: bool,
    pub(super) driver: Option<Waker>,
    /// hyper, or who it gave the upgraded stream to, has let go of the stream.
    pub(super) stream_dropped: bool,
}

impl Shared {
    pub(super) fn new(gate: Gate, info: ConnectionInfo, upgrades: Arc<UpgradeLimit>) -> Self {
        let state = Mutex::new(State {
            gate,
            current: None,
            answer_begun: false,
            unread: None,
            number: 0,
            behind_last: false,
            driver: None,
            stream_dropped: false,
        });
        Self(Arc::new(Inner { info, upgrades, state }))
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.0.info
    }

    pub(super) fn upgrades(&self) -> &UpgradeLimit {
        &self.0.upgrades
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection's stream as hyper sees it.
    pub(super) fn stream(&self) -> GateStream {
        GateStream(self.clone())
    }

    pub(super) fn wake_driver(&self) {
        let driver = self.lock().driver.clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl State {
    /// Tells the handler that its client has gone.
    pub(super) fn client_gone(&self) {
        if let Some(current) = &self.current {
            current.abort();
        }
    }

    /// As Kestrel: who goes inside a body gets no answer, if none has begun.
    pub(super) fn refuse_unbegun(&mut self) {
        if !self.answer_begun {
            self.gate.output.refuse();
        }
    }
}

/// The stream that hyper reads and writes; after an upgrade, the tunnel.
pub(super) struct GateStream(Shared);

impl AsyncRead for GateStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        let result = state.gate.poll_read(cx, buf);
        if state.gate.is_at_eof() {
            if state.gate.client_is_gone() {
                state.client_gone();
            }
            let incomplete =
                matches!(&result, Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::UnexpectedEof);
            if incomplete {
                state.refuse_unbegun();
            }
        }
        result
    }
}

impl AsyncWrite for GateStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().gate.poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().gate.poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().gate.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().gate.poll_shutdown(cx)
    }
}

impl Drop for GateStream {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.stream_dropped = true;
        let tunnel = state.gate.is_tunnel();
        drop(state);
        if tunnel {
            self.0.wake_driver();
        }
    }
}
