//! Sockets: bind one, accept streams from it.
//!
//! Nothing here knows about HTTP, TLS or layers.

mod io;

use std::net::SocketAddr;

pub use io::BoxIo;
pub(crate) use io::ResetOnDrop;

/// A connection, fresh from its socket.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) io: BoxIo,
    /// `None` where the transport has no IP addresses.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) reset: ResetOnDrop,
}
