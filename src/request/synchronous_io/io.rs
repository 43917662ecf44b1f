//! The blocking ends. Both live on threads for blocking work only.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// Reads a body with blocking calls.
///
/// It holds what one frame of the body brought; reading small pieces is cheap.
///
/// # Example
///
/// See [`SynchronousIo::read`](super::SynchronousIo::read).
pub struct BodyReader {
    /// `None` after its end.
    body: Option<Body>,
    read: Bytes,
    runtime: Handle,
}

impl BodyReader {
    /// Call it inside a runtime.
    pub(super) fn new(body: Body) -> Self {
        Self { body: Some(body), read: Bytes::new(), runtime: Handle::current() }
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read.is_empty() {
            let Some(body) = &mut self.body else { break };
            match self.runtime.block_on(body.frame()) {
                Some(Ok(frame)) => self.read = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    self.body = None;
                    return Err(io::Error::other(error));
                }
                None => self.body = None,
            }
        }
        Ok(&self.read)
    }

    fn consume(&mut self, octets: usize) {
        self.read.advance(octets);
    }
}

impl Read for BodyReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader").field("ended", &self.body.is_none()).finish_non_exhaustive()
    }
}

/// Writes a body with blocking calls.
///
/// It gathers 16 KiB before it sends; `flush` sends at once. It waits when its client is two such
/// pieces behind.
///
/// # Example
///
/// See [`SynchronousIo::write`](super::SynchronousIo::write).
pub struct BodyWriter {
    gathered: BytesMut,
    pieces: mpsc::Sender<Bytes>,
}

/// As much as one frame of HTTP/2 carries unless the client asks for more.
const PIECE: usize = 16 * 1024;

/// Pieces on their way: one being sent, one ready behind it.
const PIECES: usize = 2;

impl Write for BodyWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let taken = buf.len().min(PIECE - self.gathered.len());
        self.gathered.extend_from_slice(&buf[..taken]);
        if self.gathered.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = self.gathered.split().freeze();
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("gathered", &self.gathered.len()).finish_non_exhaustive()
    }
}

/// The body that `write` writes.
pub(super) fn body_of<F>(write: F) -> Body
where
    F: FnOnce(&mut BodyWriter) -> io::Result<()> + Send + 'static,
{
    let (pieces, written) = mpsc::channel(PIECES);
    let writing = spawn_blocking(move || {
        let mut writer = BodyWriter { gathered: BytesMut::new(), pieces };
        write(&mut writer)?;
        writer.flush()
    });
    Body::new(WrittenBody { written, writing: Some(writing) })
}

struct WrittenBody {
    written: mpsc::Receiver<Bytes>,
    /// `None` after its end.
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl http_body::Body for WrittenBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(piece) = ready!(self.written.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        // The writer is gone. Whether it was done, only its thread can say.
        let Some(writing) = &mut self.writing else { return Poll::Ready(None) };
        let outcome = ready!(Pin::new(writing).poll(cx));
        self.writing = None;
        match outcome {
            Ok(Ok(())) => Poll::Ready(None),
            Ok(Err(error)) => Poll::Ready(Some(Err(error))),
            Err(error) => Poll::Ready(Some(Err(io::Error::other(error)))),
        }
    }
}
