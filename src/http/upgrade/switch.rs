//! The stream between a request for an upgrade and hyper: first a question of ours, then the connection's stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::BoxIo;

const QUESTION: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: a\r\n\r\n";

/// The end of the head of hyper's own answer, which goes nowhere.
const END: &[u8] = b"\r\n\r\n";

/// Where the stream is, for those who ask and for hyper.
#[derive(Clone, Default)]
pub(super) struct Switch(Arc<Mutex<SwitchState>>);

#[derive(Default)]
struct SwitchState {
    at: SwitchAt,
    /// Who waits for the next step.
    waiting: Option<Waker>,
    /// Who reads and who writes the open stream, to be told when it is cut.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum SwitchAt {
    /// hyper reads the question, of which so much has been read.
    Asking(usize),
    /// hyper has not written all of its answer, the last octets of which were these.
    Accepted {
        io: BoxIo,
        last: [u8; 4],
    },
    Open(BoxIo),
    Over,
}

impl Default for SwitchAt {
    fn default() -> Self {
        Self::Asking(0)
    }
}

impl Switch {
    pub(super) fn stream(&self) -> SwitchedStream {
        SwitchedStream(self.clone())
    }

    pub(super) fn accept(&self, io: BoxIo) {
        let mut state = self.lock();
        if matches!(state.at, SwitchAt::Asking(_)) {
            state.at = SwitchAt::Accepted { io, last: [0; 4] };
        }
        state.wake();
    }

    pub(super) fn poll_accepted(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if matches!(state.at, SwitchAt::Asking(_)) { state.wait(cx) } else { Poll::Ready(()) }
    }

    /// Ready when the stream has been let go of.
    pub(super) fn poll_over(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if matches!(state.at, SwitchAt::Over) { Poll::Ready(()) } else { state.wait(cx) }
    }

    /// Takes the stream away from whoever has it.
    pub(super) fn cut(&self) {
        let mut state = self.lock();
        let at = std::mem::replace(&mut state.at, SwitchAt::Over);
        let wakers = [state.reader.take(), state.writer.take(), state.waiting.take()];
        drop(state);
        drop(at);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, SwitchState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SwitchState {
    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        remember(&mut self.waiting, cx);
        Poll::Pending
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    fn open(&mut self) -> io::Result<Pin<&mut BoxIo>> {
        match &mut self.at {
            SwitchAt::Open(io) => Ok(Pin::new(io)),
            SwitchAt::Asking(_) | SwitchAt::Accepted { .. } | SwitchAt::Over => {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// Swallows what hyper writes before the stream is the app's, up to the end of its answer.
    fn swallow(&mut self, octets: &[u8]) -> usize {
        let SwitchAt::Accepted { last, .. } = &mut self.at else { return octets.len() };
        for (at, octet) in octets.iter().enumerate() {
            last.rotate_left(1);
            last[3] = *octet;
            if last == END {
                if let SwitchAt::Accepted { io, .. } = std::mem::replace(&mut self.at, SwitchAt::Over) {
                    self.at = SwitchAt::Open(io);
                }
                return at + 1;
            }
        }
        octets.len()
    }
}

/// Keeps the task's waker in `slot`.
fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        empty => *empty = Some(cx.waker().clone()),
    }
}

/// What that hyper, and after it the app, reads and writes.
pub(super) struct SwitchedStream(Switch);

impl AsyncRead for SwitchedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock();
        match &mut state.at {
            SwitchAt::Asking(asked) => {
                let rest = &QUESTION[*asked..];
                if rest.is_empty() {
                    return Poll::Pending; // hyper watches for the end of a stream that has none
                }
                let n = rest.len().min(buf.remaining());
                buf.put_slice(&rest[..n]);
                *asked += n;
                Poll::Ready(Ok(()))
            }
            // Not before hyper has handed over: what it reads now it would take for the next request.
            SwitchAt::Accepted { .. } => Poll::Pending,
            SwitchAt::Open(io) => {
                let read = Pin::new(io).poll_read(cx, buf);
                if read.is_pending() {
                    remember(&mut state.reader, cx);
                }
                read
            }
            SwitchAt::Over => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for SwitchedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        match &mut state.at {
            SwitchAt::Open(io) => {
                let written = Pin::new(io).poll_write(cx, buf);
                if written.is_pending() {
                    remember(&mut state.writer, cx);
                }
                written
            }
            SwitchAt::Over => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            SwitchAt::Asking(_) | SwitchAt::Accepted { .. } => Poll::Ready(Ok(state.swallow(buf))),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock();
        match &mut state.at {
            SwitchAt::Open(io) => {
                let written = Pin::new(io).poll_write_vectored(cx, bufs);
                if written.is_pending() {
                    remember(&mut state.writer, cx);
                }
                return written;
            }
            SwitchAt::Over => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            SwitchAt::Asking(_) | SwitchAt::Accepted { .. } => {}
        }
        let first = bufs.iter().find(|buf| !buf.is_empty());
        Poll::Ready(Ok(first.map_or(0, |buf| state.swallow(buf))))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.lock().open() {
            Ok(io) => io.poll_flush(cx),
            Err(_) => Poll::Ready(Ok(())), // nothing was kept
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0.lock().open() {
            Ok(io) => io.poll_shutdown(cx),
            Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for SwitchedStream {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        // What is dropped may want the lock.
        let at = std::mem::replace(&mut state.at, SwitchAt::Over);
        state.wake();
        drop(state);
        drop(at);
    }
}
