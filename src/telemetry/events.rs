//! Every log event, one function each, named as Kestrel names it.
//!
//! What a client can cause is logged at debug, never above: nobody outside may fill the log.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use http::{HeaderName, StatusCode};

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

/// A handler panicked; its client got a 500. What panics is the app, so this is an error.
pub(crate) fn handler_panicked(message: &str) {
    tracing::error!(target: "kestrel_rs", message, "a handler panicked");
}

/// A request for a host that is not allowed.
pub(crate) fn host_not_allowed(host: &[u8]) {
    let host = String::from_utf8_lossy(host);
    tracing::debug!(target: "kestrel_rs::request", %host, "the host is not allowed");
}

/// A request that names no host, where it must.
pub(crate) fn host_missing() {
    tracing::debug!(target: "kestrel_rs::request", "the request names no host");
}

/// Somebody who is not trusted forwards requests, or claims to.
pub(crate) fn unknown_proxy(address: SocketAddr) {
    tracing::debug!(target: "kestrel_rs::request", %address, "unknown proxy");
}

/// What should be the address of a client is none.
pub(crate) fn forwarded_address_unreadable(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    tracing::debug!(target: "kestrel_rs::request", %text, "a forwarded address is none");
}

/// The forwarded headers do not fit together, though they must.
pub(crate) fn forwarded_headers_uneven() {
    tracing::debug!(target: "kestrel_rs::request", "the forwarded headers do not fit together and are ignored");
}

/// Requests are to be redirected, but nobody said where to.
pub(crate) fn https_port_unknown() {
    tracing::warn!(target: "kestrel_rs::request", "the port for https is not known; requests are not redirected");
}

/// The certificate in a header cannot be read.
pub(crate) fn certificate_unreadable(error: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::request", %error, "cannot read the client's certificate from the header");
}

/// What a handler made cannot be sent: its Content-Length is none or not that of the body, or its
/// status is no answer. Its client got a 500.
pub(crate) fn answer_broken(status: StatusCode) {
    tracing::error!(target: "kestrel_rs", %status, "a response that cannot be sent as it is");
}

/// The body of an answer failed before its first octet; the client got a 500.
pub(crate) fn body_failed(error: &dyn Display) {
    tracing::debug!(target: "kestrel_rs", %error, "the body of a response failed before it began");
}

/// A handler set headers that HTTP/2 does not have.
pub(crate) fn connection_headers_dropped(header: &HeaderName) {
    tracing::debug!(target: "kestrel_rs", %header, "a header of HTTP/1 was left out of a response over HTTP/2");
}
