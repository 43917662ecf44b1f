//! The stream of an accepted CONNECT, as octets (RFC 9113 section 8.5, RFC 8441).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Tunnel {
    incoming: RecvStream,
    /// What has come and was not read.
    read: Bytes,
    outgoing: SendStream<Bytes>,
    ended: bool,
}

impl Tunnel {
    pub(super) fn new(incoming: RecvStream, outgoing: SendStream<Bytes>) -> Self {
        Self { incoming, read: Bytes::new(), outgoing, ended: false }
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // Fails when the stream is gone, which is an end too.
            let _ = self.outgoing.send_data(Bytes::new(), true);
        }
    }
}

/// A write at once; more would be copied before the client takes any of it.
const PIECE: usize = 64 * 1024;

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.read.is_empty() {
            match ready!(self.incoming.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The stream may have ended meanwhile.
                    let _ = self.incoming.flow_control().release_capacity(data.len());
                    self.read = data;
                }
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let n = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..n]);
        self.read.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if let Poll::Ready(Ok(_) | Err(_)) = self.outgoing.poll_reset(cx) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.outgoing.reserve_capacity(buf.len().min(PIECE));
        let capacity = loop {
            match self.outgoing.capacity() {
                0 => match ready!(self.outgoing.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                },
                capacity => break capacity,
            }
        };
        let n = capacity.min(buf.len()).min(PIECE);
        let sent = self.outgoing.send_data(Bytes::copy_from_slice(&buf[..n]), false);
        Poll::Ready(sent.map(|()| n).map_err(|error| broken(&error)))
    }

    /// h2 sends by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

/// As the end of a socket is: whoever lets go of the stream has said all.
impl Drop for Tunnel {
    fn drop(&mut self) {
        self.end();
    }
}

fn broken(error: &h2::Error) -> io::Error {
    let kind = match error.reason() {
        Some(Reason::NO_ERROR | Reason::CANCEL) => io::ErrorKind::BrokenPipe,
        _ => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, error.to_string())
}
