//! TCP: a listening socket, and the streams it accepts.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Extensions;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::{Accepted, BoxIo, Peer, ResetOnDrop, SocketOptions};
use crate::telemetry::events;
use crate::text::ip::canonical;

/// How many octets of an answer the system takes beyond what it has sent: enough to keep sending
/// while we are woken, as the large web servers and browsers have it.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 16 * 1024;

#[derive(Debug)]
pub(crate) struct TcpSocket {
    listener: TcpListener,
    local: SocketAddr,
    inherited: bool,
}

impl TcpSocket {
    /// Listens on one address; `[::]` takes IPv4 too.
    pub(crate) fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        // Before `listen`, so that no connection comes without the options.
        set_options(&socket, options)?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        Self::from_listening(socket, false)
    }

    /// Listens on every address of the machine, on IPv4 alone where there is no IPv6.
    pub(crate) fn bind_any_ip(port: u16, options: &SocketOptions) -> io::Result<Self> {
        let every = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        match Self::bind(every, options) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                events::no_dual_stack(port, &error);
                Self::bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), options)
            }
            result => result,
        }
    }

    /// Takes a socket that another process has bound and listens on.
    pub(super) fn inherit(socket: Socket, options: &SocketOptions) -> io::Result<Self> {
        set_options(&socket, options)?;
        Self::from_listening(socket, true)
    }

    fn from_listening(socket: Socket, inherited: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local, inherited })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn close(&self) {
        if !self.inherited {
            // The port is free from here on, before the descriptor is closed. `accept` on it is an
            // error (EINVAL).
            let _ = SockRef::from(&self.listener).shutdown(Shutdown::Read);
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        let (stream, remote) = self.listener.accept().await?;
        // Only a socket for every address has to ask which one the client came to.
        let local = if self.local.ip().is_unspecified() {
            // What fails after `accept` is about this connection, whatever the system calls it.
            stream.local_addr().map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))?
        } else {
            self.local
        };
        let reset = ResetOnDrop::default();
        Ok(Accepted {
            local: Some(canonical(local)),
            peer: Peer::Ip(canonical(remote)),
            reset: reset.clone(),
            items: Extensions::new(),
            io: BoxIo::new(TcpIo { stream, reset }),
        })
    }
}

/// Set on the listening socket, since accepted ones inherit them: no system call per connection.
fn set_options(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_tcp_nodelay(options.nodelay)?;
    // Inherited too. Without it the system takes megabytes of an answer before a client that does
    // not read is seen to stall.
    #[cfg(target_os = "linux")]
    socket.set_tcp_notsent_lowat(MAX_UNSENT)?;
    match options.keepalive {
        Some(after) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after)),
        None => Ok(()),
    }
}

/// A stream that ends with a reset if that is asked of it.
#[derive(Debug)]
struct TcpIo {
    stream: TcpStream,
    reset: ResetOnDrop,
}

impl Drop for TcpIo {
    fn drop(&mut self) {
        if self.reset.is_set() {
            // With nothing to linger for, closing sends RST in place of FIN. A socket on which this
            // fails is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for TcpIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TcpIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair(socket: &TcpSocket, to: IpAddr) -> (TcpStream, Accepted) {
        let to = SocketAddr::new(to, socket.local_addr().port());
        let (client, accepted) = tokio::join!(TcpStream::connect(to), socket.accept());
        (client.unwrap(), accepted.unwrap())
    }

    fn loopback() -> TcpSocket {
        TcpSocket::bind("127.0.0.1:0".parse().unwrap(), &SocketOptions::default()).unwrap()
    }

    #[tokio::test]
    async fn ends_in_peace_or_by_a_reset() {
        let socket = loopback();
        for reset in [false, true] {
            let (mut client, accepted) = pair(&socket, socket.local_addr().ip()).await;
            if reset {
                accepted.reset.set();
            }
            drop(accepted.io);
            let end = client.read(&mut [0; 1]).await;
            assert_eq!(
                end.map_err(|error| error.kind()),
                if reset { Err(io::ErrorKind::ConnectionReset) } else { Ok(0) }
            );
        }
    }

    #[tokio::test]
    async fn carries_bytes_both_ways_and_says_who_is_there() {
        let socket = loopback();
        let (mut client, mut accepted) = pair(&socket, socket.local_addr().ip()).await;
        assert_eq!(accepted.peer, Peer::Ip(client.local_addr().unwrap()));
        assert_eq!(accepted.local, Some(client.peer_addr().unwrap()));
        client.write_all(b"ping").await.unwrap();
        let mut buffer = [0; 4];
        accepted.io.read_exact(&mut buffer).await.unwrap();
        let halves = [IoSlice::new(&buffer[..2]), IoSlice::new(&buffer[2..])];
        assert!(accepted.io.is_write_vectored());
        assert_eq!(accepted.io.write_vectored(&halves).await.unwrap(), 4);
        accepted.io.shutdown().await.unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"ping");
    }

    #[tokio::test]
    async fn a_client_over_ipv4_is_reported_so_on_a_socket_for_both() {
        let socket = TcpSocket::bind_any_ip(0, &SocketOptions::default()).unwrap();
        let (client, accepted) = pair(&socket, Ipv4Addr::LOCALHOST.into()).await;
        assert_eq!(accepted.peer, Peer::Ip(client.local_addr().unwrap()));
        assert_eq!(accepted.local, Some(client.peer_addr().unwrap()));
    }

    #[tokio::test]
    async fn accepted_streams_inherit_the_options() {
        let on = SocketOptions::default().keepalive(std::time::Duration::from_secs(60));
        for (options, expected) in [(on, true), (SocketOptions::default().without_nodelay(), false)] {
            let socket = TcpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
            let address = socket.local_addr();
            let (_client, accepted) = tokio::join!(TcpStream::connect(address), socket.listener.accept());
            let (stream, _) = accepted.unwrap();
            assert_eq!(stream.nodelay().unwrap(), expected);
            assert_eq!(SockRef::from(&stream).keepalive().unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn several_sockets_share_a_port_only_when_asked_to() {
        let share = SocketOptions::default().with_reuse_port();
        let first = TcpSocket::bind("127.0.0.1:0".parse().unwrap(), &share).unwrap();
        assert!(TcpSocket::bind(first.local_addr(), &share).is_ok());
        let error = TcpSocket::bind(first.local_addr(), &SocketOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
