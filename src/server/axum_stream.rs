//! The connections of a [`KestrelListener`](crate::KestrelListener) on their way to `axum::serve`.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tower::Service;

use crate::connection::{BoxIo, Connection, ConnectionInfo};
use crate::error::BoxError;

/// The stream of a connection that `axum::serve` serves.
///
/// # Example
///
/// See [`KestrelListener::into_axum`](crate::KestrelListener::into_axum).
pub struct AxumStream {
    io: BoxIo,
    info: ConnectionInfo,
    waker: Option<Waker>,
    /// Tells the connection's task that the stream is gone.
    _dropped: oneshot::Sender<()>,
}

impl AxumStream {
    /// What is known of the connection.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// An error once somebody wants the connection to be aborted.
    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut BoxIo>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // Both halves are polled by the one task that drives the connection.
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.info.set_driver(cx.waker());
        }
        if self.info.wants_abort() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        poll(Pin::new(&mut self.io), cx)
    }
}

impl AsyncRead for AxumStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_with(cx, |io, cx| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for AxumStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, AsyncWrite::poll_shutdown)
    }
}

impl fmt::Debug for AxumStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AxumStream").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Gives the stream of a connection to somebody else, and waits until they drop it.
#[derive(Clone, Debug)]
pub(super) struct HandOver(pub(super) mpsc::Sender<AxumStream>);

impl Service<Connection<BoxIo>> for HandOver {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: Connection<BoxIo>) -> Self::Future {
        let to = self.0.clone();
        Box::pin(async move {
            let (io, info) = connection.into_parts();
            let (dropped, gone) = oneshot::channel();
            // Nobody takes it once the other server has stopped.
            let _ = to.send(AxumStream { io, info, waker: None, _dropped: dropped }).await;
            let _ = gone.await;
            Ok(())
        })
    }
}
