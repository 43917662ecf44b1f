//! Every log event, one function each, named as Kestrel names it.
//!
//! What a client can cause is logged at debug, never above: nobody outside may fill the log.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::connection::ConnectionInfo;

/// Over the limit for connections.
pub(crate) fn connection_rejected(connection: &ConnectionInfo) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "connection rejected: too many");
}

/// `localhost` listens on one of its two addresses only.
pub(crate) fn loopback_unavailable(endpoint: &dyn Display, missing: SocketAddr, error: &io::Error) {
    tracing::info!(target: "kestrel_rs::listener", %endpoint, %missing, %error, "cannot listen on one of the loopback addresses");
}

/// Every address means every IPv4 address here.
pub(crate) fn no_dual_stack(port: u16, error: &io::Error) {
    tracing::debug!(target: "kestrel_rs::listener", port, %error, "cannot listen on [::]; trying 0.0.0.0");
}

/// A file that stood for a socket on which nobody listens any more.
pub(crate) fn stale_socket_removed(path: &Path) {
    tracing::info!(target: "kestrel_rs::listener", path = %path.display(), "removed the socket file of a server that is gone");
}

pub(crate) fn socket_not_removed(path: &Path, error: &io::Error) {
    tracing::warn!(target: "kestrel_rs::listener", path = %path.display(), %error, "cannot remove the socket file");
}
