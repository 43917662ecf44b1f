//! A connection that keeps all that comes, and that two can write to.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use kestrel_rs::test::TestConnection;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{closed, open};

/// Handles on one connection.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<State>>);

struct State {
    /// `None` once the client has dropped it.
    connection: Option<TestConnection>,
    received: Vec<u8>,
    /// How the server has ended it.
    end: Option<&'static str>,
}

impl Wire {
    pub(super) fn new(connection: TestConnection) -> Self {
        Self(Arc::new(Mutex::new(State { connection: Some(connection), received: Vec::new(), end: None })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that has come so far.
    pub(super) fn received(&self) -> Vec<u8> {
        self.lock().received.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        let state = self.lock();
        state.end.is_none() && state.connection.is_some()
    }

    /// Says that nothing more will be sent.
    pub(super) async fn finish(&mut self) {
        _ = self.shutdown().await; // the server may have gone
    }

    /// The connection goes without a word.
    pub(super) fn drop_connection(&self) {
        self.lock().connection = None;
    }

    /// How things stand, as it was recorded.
    pub(super) fn end(&self) -> Value {
        let state = self.lock();
        match state.end {
            Some(how) => closed(how),
            None if state.connection.is_none() => closed("dropped by the client"),
            None => open(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.lock();
        let Some(connection) = &mut state.connection else { return Poll::Ready(Ok(())) };
        let before = buf.filled().len();
        let result = ready!(Pin::new(connection).poll_read(cx, buf));
        match &result {
            Ok(()) if buf.filled().len() == before && buf.remaining() > 0 => state.end = Some("fin"),
            Ok(()) => state.received.extend_from_slice(&buf.filled()[before..]),
            Err(_) => state.end = Some("reset"),
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.lock().connection {
            Some(connection) => Pin::new(connection).poll_write(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(())) // memory holds nothing back
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.lock().connection {
            Some(connection) => Pin::new(connection).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}
