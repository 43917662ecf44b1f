//! Sockets: bind one, accept streams from it.
//!
//! Nothing here knows about HTTP, TLS or layers.

mod custom;
mod io;
#[cfg(feature = "test-util")]
mod memory;
mod options;
mod tcp;
mod unix;

use std::fmt;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use http::Extensions;
use socket2::{Socket, Type};

pub(crate) use custom::CustomSocket;
pub use io::BoxIo;
pub(crate) use io::{ResetOnDrop, Rewind};
#[cfg(feature = "test-util")]
pub(crate) use memory::{MemoryConnector, MemorySocket, MemoryStream, socket as memory_socket};
pub use options::SocketOptions;
pub(crate) use tcp::TcpSocket;
pub(crate) use unix::{UnixBinding, UnixSocket};

use crate::text::ip::AddressText;

/// A connection, fresh from its socket.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) io: BoxIo,
    /// `None` where the transport has no IP addresses.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) peer: Peer,
    pub(crate) reset: ResetOnDrop,
    /// What else the transport says of it, to be kept with the connection.
    pub(crate) items: Extensions,
}

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Ip(SocketAddr),
    /// A program of this machine that may open the file of the socket.
    Unix,
    /// The transport has addresses of its own.
    Unknown,
}

impl Peer {
    pub(crate) fn ip(self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(address),
            Self::Unix | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => AddressText(*address).fmt(f),
            Self::Unix => f.write_str("a Unix socket"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(TcpSocket),
    Unix(UnixSocket),
    Custom(CustomSocket),
    #[cfg(feature = "test-util")]
    Memory(MemorySocket),
}

impl Bound {
    /// Takes a listening socket, TCP or Unix, that another process has opened; anything else is
    /// `InvalidInput`.
    pub(crate) fn inherit(descriptor: OwnedFd, options: &SocketOptions) -> Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::STREAM || !socket.is_listener()? {
            return Err(ErrorKind::InvalidInput.into());
        }
        let address = socket.local_addr()?;
        if address.as_socket().is_some() {
            TcpSocket::inherit(socket, options).map(Self::Tcp)
        } else if address.is_unix() {
            // One without a file has no path: an abstract name.
            let path = address.as_pathname().map_or_else(PathBuf::new, PathBuf::from);
            UnixSocket::inherit(socket, path).map(Self::Unix)
        } else {
            Err(ErrorKind::InvalidInput.into())
        }
    }

    /// The next connection. Several tasks may wait at once. An error does not mean the end: see
    /// [`is_connection_error`].
    pub(crate) async fn accept(&self) -> Result<Accepted> {
        match self {
            Self::Tcp(socket) => socket.accept().await,
            Self::Unix(socket) => socket.accept().await,
            Self::Custom(socket) => Ok(socket.accept().await),
            #[cfg(feature = "test-util")]
            Self::Memory(socket) => socket.accept().await,
        }
    }

    /// Closes the socket now, though tasks wait for connections on it, whose `accept` fails then. A
    /// socket that somebody else opened stays open, since it may be somebody else's still; a custom
    /// listener is dropped with the last of those tasks.
    pub(crate) fn close(&self) {
        match self {
            Self::Tcp(socket) => socket.close(),
            Self::Unix(socket) => socket.close(),
            Self::Custom(_) => {}
            #[cfg(feature = "test-util")]
            Self::Memory(_) => {}
        }
    }

    pub(crate) fn local_addr(&self) -> BoundAddr {
        match self {
            Self::Tcp(socket) => BoundAddr::Tcp(socket.local_addr()),
            Self::Unix(socket) => BoundAddr::Unix(socket.path().to_owned()),
            Self::Custom(socket) => match socket.local_addr() {
                Some(address) => BoundAddr::Tcp(address),
                None => BoundAddr::Custom(socket.name().into()),
            },
            #[cfg(feature = "test-util")]
            Self::Memory(socket) => BoundAddr::Tcp(socket.local_addr()),
        }
    }
}

/// Where a socket listens, with its real port.
///
/// # Example
///
/// ```
/// use kestrel_rs::KestrelListener;
/// use kestrel_rs::listener::BoundAddr;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kestrel_rs::Error> {
/// let listener = KestrelListener::bind("http://127.0.0.1:0").await?;
/// let BoundAddr::Tcp(address) = &listener.local_addrs()[0] else { panic!("not TCP") };
/// assert_ne!(address.port(), 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BoundAddr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket; empty for one that was inherited and has none.
    Unix(PathBuf),
    /// The name of a custom listener that has no IP address.
    Custom(Box<str>),
}

impl BoundAddr {
    /// The IP address and port; `None` for a Unix socket, and for a custom listener without one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Custom(_) => None,
        }
    }
}

/// As the server reports it, but for `https`, which a socket does not know.
impl fmt::Display for BoundAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "http://unix:{}", path.display()),
            Self::Custom(name) => write!(f, "http://{name}"),
        }
    }
}

/// Whether an error of `accept` is about one connection, which ended before it was taken: go on at
/// once. Any other (no descriptors, no memory) comes again until something is freed: pause first.
pub(crate) fn is_connection_error(error: &Error) -> bool {
    // accept(2): Linux hands errors of the new connection's network to the caller, who should treat
    // them as "try again"; EPERM is the firewall's, about this connection. These have no kind:
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if matches!(error.raw_os_error(), Some(libc::ENONET)) {
        return true;
    }
    if matches!(
        error.raw_os_error(),
        Some(libc::EPERM | libc::EPROTO | libc::ENOPROTOOPT | libc::EHOSTDOWN | libc::EOPNOTSUPP)
    ) {
        return true;
    }
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::NotConnected
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_an_error_of_one_connection_from_one_of_the_machine() {
        assert!(is_connection_error(&ErrorKind::ConnectionAborted.into()));
        assert!(is_connection_error(&ErrorKind::ConnectionReset.into()));
        #[cfg(target_os = "linux")]
        for errno in [
            libc::ENETDOWN,
            libc::EPROTO,
            libc::ENOPROTOOPT,
            libc::EHOSTDOWN,
            libc::ENONET,
            libc::EHOSTUNREACH,
            libc::EOPNOTSUPP,
            libc::ENETUNREACH,
            libc::ECONNABORTED,
            libc::EPERM,
            libc::ETIMEDOUT,
            libc::EINTR,
        ] {
            let error = Error::from_raw_os_error(errno);
            assert!(is_connection_error(&error), "{error}");
        }
        for errno in [libc::ENOMEM, libc::ENOBUFS, libc::ENFILE, libc::EMFILE, libc::EINVAL, libc::EBADF] {
            let error = Error::from_raw_os_error(errno);
            assert!(!is_connection_error(&error), "{error}");
        }
    }
}
