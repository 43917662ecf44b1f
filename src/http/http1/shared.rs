//! What the driver, hyper's stream and the exchange on the way share of one connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use http_body::Body;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::exchange::is_last;
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
    pub(super) came_behind_last: bool,
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
            came_behind_last: false,
            driver: None,
            stream_dropped: false,
        });
        Self(Arc::new(Inner { info, upgrades, state }))
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        &self.0.info
    }

    pub(super) fn upgrades(&self) -> &Arc<UpgradeLimit> {
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

    /// What happens beside hyper in each poll: what is gathered is written, what nobody wanted is
    /// read, and a client that goes is noticed. `true` if hyper has something to do again.
    pub(super) fn poll_around_hyper(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let written = self.write_gathered(cx)?;
        let read = self.read_unread(cx);
        self.notice_gone(cx)?;
        Ok(written || read)
    }

    /// `true` if there is room again for which hyper waited.
    fn write_gathered(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let gate = &mut self.gate;
        let waited = gate.output.writer_waits;
        match gate.output.poll_write_gathered(&mut gate.io, cx) {
            Poll::Ready(written) => written?,
            Poll::Pending => return Ok(false),
        }
        Ok(std::mem::take(&mut gate.output.writer_waits) && waited)
    }

    /// `true` if hyper has to go on for more, or for the next request.
    fn read_unread(&mut self, cx: &mut Context<'_>) -> bool {
        let mut again = false;
        // Not before the answer: reading would make hyper ask for the body with a 100.
        while let Some(unread) = self.unread.as_mut().filter(|_| self.answer_begun) {
            let Poll::Ready(frame) = Pin::new(&mut *unread).poll_frame(cx) else { break };
            again = true;
            if is_last(frame.as_ref(), unread) {
                self.unread = None;
            }
        }
        if self.gate.reader_waits && self.gate.is_at_head() && self.unread.take().is_some() {
            again = true; // hyper has read it all, and says so only at the next request
        }
        again
    }

    fn notice_gone(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.current.is_none() || self.gate.reader_waits {
            return Ok(());
        }
        let Poll::Ready(result) = self.gate.poll_gone(cx) else { return Ok(()) };
        result?;
        if self.gate.truncated {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.gate.client_is_gone() {
            self.client_gone();
        }
        if self.gate.is_cut_inside_body() {
            self.refuse_unbegun();
        }
        Ok(())
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
        if state.gate.eof {
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
