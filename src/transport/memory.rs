//! A transport in memory, for tests: no port, exact octets, and time that may stand still.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{Mutex, mpsc};

use super::{Accepted, BoxIo, Peer, ResetOnDrop};

/// How many octets a direction holds before the writer waits, as a socket's buffer.
const BUFFER: usize = 64 * 1024;

/// What stands for the server's address, and for the client's with another port.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
const CLIENT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 49_152);

/// A listening socket in memory.
#[derive(Debug)]
pub(crate) struct MemorySocket {
    accepted: Mutex<mpsc::Receiver<Accepted>>,
}

/// Connects to a [`MemorySocket`].
#[derive(Clone, Debug)]
pub(crate) struct MemoryConnector {
    connect: mpsc::Sender<Accepted>,
}

pub(crate) fn socket() -> (MemoryConnector, MemorySocket) {
    let (connect, accepted) = mpsc::channel(512); // a backlog
    (MemoryConnector { connect }, MemorySocket { accepted: Mutex::new(accepted) })
}

impl MemorySocket {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self.accepted.lock().await.recv().await {
            Some(accepted) => Ok(accepted),
            None => std::future::pending().await,
        }
    }

    #[expect(clippy::unused_self, reason = "as every socket")]
    pub(super) fn local_addr(&self) -> SocketAddr {
        ADDRESS
    }
}

impl MemoryConnector {
    pub(crate) async fn connect(&self) -> io::Result<MemoryStream> {
        let (client, server) = tokio::io::duplex(BUFFER);
        let reset = ResetOnDrop::default();
        let io = BoxIo::new(server);
        let (local, peer) = (Some(ADDRESS), Peer::Ip(CLIENT));
        let accepted = Accepted { io, local, peer, reset: reset.clone(), items: Extensions::new() };
        self.connect.send(accepted).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(MemoryStream { stream: client, reset })
    }
}

/// The client's end of a connection in memory.
#[derive(Debug)]
pub(crate) struct MemoryStream {
    stream: DuplexStream,
    reset: ResetOnDrop,
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if buf.filled().len() == before && buf.remaining() > 0 && self.reset.is_set() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
