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

/// A connection ended in a way that its protocol does not have.
pub(crate) fn connection_failed(connection: &ConnectionInfo, error: &dyn std::fmt::Display) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), %error, "connection failed");
}

/// The client took its answer too slowly and was cut.
pub(crate) fn response_too_slow(connection: &ConnectionInfo) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "response slower than the minimum data rate");
}

/// An endpoint cannot accept for now.
pub(crate) fn accept_failed(endpoint: &str, error: &std::io::Error) {
    tracing::error!(target: "kestrel_rs", endpoint, %error, "cannot accept connections; trying again in a second");
}

/// The server is ready.
pub(crate) fn now_listening(endpoint: &dyn Display) {
    tracing::info!(target: "kestrel_rs", "now listening on {endpoint}");
    if !tracing::dispatcher::has_been_set() {
        // Nobody listens to events, and whoever runs their first program should not wonder.
        #[expect(clippy::print_stderr, reason = "the program has no log")]
        {
            eprintln!("now listening on {endpoint}");
        }
    }
}

/// The server stops.
pub(crate) fn shutting_down(connections: usize) {
    tracing::info!(target: "kestrel_rs", connections, "shutting down");
}

/// The time for the shutdown was over before all connections were.
pub(crate) fn connections_cut(connections: usize) {
    tracing::warn!(target: "kestrel_rs", connections, "shut down with connections still in work, which were cut");
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

/// Browsers look at the alternative names only.
#[cfg(feature = "tls")]
pub(crate) fn certificate_without_names(certificate: &dyn Display, subject: &dyn Display) {
    tracing::warn!(target: "kestrel_rs::tls", %certificate, %subject, "the certificate has no subject alternative name; clients will not accept it for any host name");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_expired(certificate: &dyn Display, subject: &dyn Display, since: &dyn Display) {
    tracing::warn!(target: "kestrel_rs::tls", %certificate, %subject, %since, "the certificate has expired; clients will not accept it");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_not_yet_valid(
    certificate: &dyn Display,
    subject: &dyn Display,
    from: &dyn Display,
) {
    tracing::warn!(target: "kestrel_rs::tls", %certificate, %subject, %from, "the certificate is not valid yet; clients will not accept it");
}

/// Certificates beside the server's own that do not lead from it to an authority.
#[cfg(feature = "tls")]
pub(crate) fn certificates_unrelated(certificate: &dyn Display, count: usize) {
    tracing::warn!(target: "kestrel_rs::tls", %certificate, count, "certificates that are no issuers of the server's are not sent");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_reloaded(certificate: &dyn std::fmt::Debug) {
    tracing::info!(target: "kestrel_rs::tls", ?certificate, "certificate changed; new connections get the new one");
}

/// The files of a certificate changed and cannot be used as they are.
#[cfg(feature = "tls")]
pub(crate) fn certificate_not_reloaded(error: &dyn std::fmt::Debug) {
    tracing::warn!(target: "kestrel_rs::tls", ?error, "the certificate's files changed, but cannot be used; going on with the certificate loaded before");
}

#[cfg(feature = "tls")]
pub(crate) fn development_certificate_created(path: &Path) {
    tracing::info!(target: "kestrel_rs::tls", path = %path.display(), "created a development certificate for localhost; browsers warn of it until you trust it");
}

#[cfg(feature = "tls")]
pub(crate) fn development_certificate_unusable(path: &Path, reason: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::tls", path = %path.display(), %reason, "the development certificate cannot be used");
}
