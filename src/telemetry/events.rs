//! Every log event, one function each, named as Kestrel names it.
//!
//! What a client can cause is logged at debug, never above: nobody outside may fill the log. What others have written
//! (clients, handlers, certificates, the system) is a field of its own, [`Escaped`], and never part of the message:
//! nobody writes a line of the log. The tests hold each function here to it.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use http::{HeaderName, StatusCode};

use super::About;
use super::escaped::Escaped;

/// Over the limit for connections.
pub(crate) fn connection_rejected(connection: &dyn About) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "connection rejected: too many");
}

/// A connection ended in a way that its protocol does not have.
pub(crate) fn connection_failed(connection: &dyn About, error: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), error = %Escaped(error), "connection failed");
}

/// A request was refused before any handler saw it, or inside its body.
pub(crate) fn bad_request(connection: &dyn About, reason: &dyn Display, status: u16) {
    tracing::debug!(target: "kestrel_rs::bad_requests", id = %connection.id(), endpoint = connection.endpoint(), status, reason = %Escaped(reason), "bad request");
}

/// An endpoint that speaks only HTTP/2, and a TLS client that did not ask for it.
pub(crate) fn no_http2_by_alpn(connection: &dyn About) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "connection closed: only HTTP/2 is spoken here, and the client did not ask for it (ALPN)");
}

/// Whether anybody wants to see the octets of connections.
pub(crate) fn octets_are_wanted() -> bool {
    tracing::enabled!(target: "kestrel_rs::connection_logging", tracing::Level::DEBUG)
}

/// What a connection reads or writes, as text in hex and ASCII.
pub(crate) fn octets(connection: &dyn About, name: &str, what: &str, length: usize, dump: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::connection_logging", id = %connection.id(), endpoint = connection.endpoint(), name, "{what}[{length}]{dump}");
}

/// A TLS handshake did not come to its end. What a client can cause is never more than debug.
#[cfg(feature = "tls")]
pub(crate) fn tls_handshake_failed(connection: &dyn About, error: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), error = %Escaped(error), "TLS handshake failed");
}

/// The time for a TLS handshake is over.
#[cfg(feature = "tls")]
pub(crate) fn tls_handshake_timed_out(connection: &dyn About) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "TLS handshake timed out");
}

/// Plain HTTP on a TLS endpoint.
#[cfg(feature = "tls")]
pub(crate) fn http_over_tls_port(connection: &dyn About) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "plain HTTP on an https endpoint");
}

/// The client took its answer too slowly and was cut.
pub(crate) fn response_too_slow(connection: &dyn About) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "response slower than the minimum data rate");
}

/// An endpoint cannot accept for now.
pub(crate) fn accept_failed(endpoint: &str, error: &io::Error) {
    tracing::error!(target: "kestrel_rs", endpoint, error = %Escaped(error), "cannot accept connections; trying again in a second");
}

/// The server is ready.
pub(crate) fn now_listening(endpoint: &dyn Display) {
    tracing::info!(target: "kestrel_rs", "now listening on {}", Escaped(endpoint));
    say(format_args!("now listening on {endpoint}"));
}

/// The server stops; it is said where its addresses were.
pub(crate) fn shutting_down(connections: usize, addresses: usize) {
    tracing::info!(target: "kestrel_rs", connections, "shutting down");
    if addresses > 0 {
        say(format_args!("shutting down"));
    }
}

/// Somebody has asked for the end three times.
pub(crate) fn exiting() {
    tracing::warn!(target: "kestrel_rs", "a third signal: the process ends");
    say(format_args!("a third signal: the process ends"));
}

/// On standard error, where nobody listens to events: whoever runs their first program should not
/// wonder.
fn say(text: std::fmt::Arguments<'_>) {
    if !tracing::dispatcher::has_been_set() {
        #[expect(clippy::print_stderr, reason = "the program has no log")]
        {
            eprintln!("{text}");
        }
    }
}

/// The time for the shutdown was over before all connections were.
pub(crate) fn connections_cut(connections: usize) {
    tracing::warn!(target: "kestrel_rs", connections, "shut down with connections still in work, which were cut");
}

/// `localhost` listens on one of its two addresses only.
pub(crate) fn loopback_unavailable(endpoint: &dyn Display, missing: SocketAddr, error: &io::Error) {
    tracing::info!(target: "kestrel_rs::listener", endpoint = %Escaped(endpoint), %missing, error = %Escaped(error), "cannot listen on one of the loopback addresses");
}

/// An endpoint was given a name that looks like a place to listen, or like a filter.
pub(crate) fn host_name_restricts_nothing(host: &str, port: u16) {
    tracing::warn!(target: "kestrel_rs::listener", ?host, port, "a host name in an endpoint restricts nothing: it listens on every address of the machine; write * if that is meant, or an IP address, and filter hosts with `HostFilteringLayer`");
}

/// Every address means every IPv4 address here.
pub(crate) fn no_dual_stack(port: u16, error: &io::Error) {
    tracing::debug!(target: "kestrel_rs::listener", port, error = %Escaped(error), "cannot listen on [::]; trying 0.0.0.0");
}

/// A file that stood for a socket on which nobody listens any more.
pub(crate) fn stale_socket_removed(path: &Path) {
    tracing::info!(target: "kestrel_rs::listener", path = %Escaped(path.display()), "removed the socket file of a server that is gone");
}

pub(crate) fn socket_not_removed(path: &Path, error: &io::Error) {
    tracing::warn!(target: "kestrel_rs::listener", path = %Escaped(path.display()), error = %Escaped(error), "cannot remove the socket file");
}

/// A handler panicked; its client got a 500. What panics is the app, so this is an error.
pub(crate) fn handler_panicked(text: &str) {
    tracing::error!(target: "kestrel_rs", panic = %Escaped(text), "a handler panicked");
}

/// A request for a host that is not allowed.
pub(crate) fn host_not_allowed(host: &[u8]) {
    let host = String::from_utf8_lossy(host);
    tracing::debug!(target: "kestrel_rs::request", host = %Escaped(host), "the host is not allowed");
}

/// A request that names no host, where it must.
pub(crate) fn host_missing() {
    tracing::debug!(target: "kestrel_rs::request", "the request names no host");
}

/// Somebody who is not trusted forwards requests, or claims to.
pub(crate) fn unknown_proxy(address: &dyn Display) {
    tracing::debug!(target: "kestrel_rs::request", address = %Escaped(address), "unknown proxy");
}

/// An element of `Forwarded` that is none.
pub(crate) fn forwarded_element_unreadable(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    tracing::debug!(target: "kestrel_rs::request", text = %Escaped(text), "an element of Forwarded is none");
}

/// What should be the address of a client is none.
pub(crate) fn forwarded_address_unreadable(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    tracing::debug!(target: "kestrel_rs::request", text = %Escaped(text), "a forwarded address is none");
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
    tracing::debug!(target: "kestrel_rs::request", error = %Escaped(error), "cannot read the client's certificate from the header");
}

/// What a handler made cannot be sent: its Content-Length is none or not that of the body, or its
/// status is no answer. Its client got a 500.
pub(crate) fn answer_broken(status: StatusCode) {
    tracing::error!(target: "kestrel_rs", %status, "a response that cannot be sent as it is");
}

/// The body of an answer failed before its first octet; the client got a 500.
pub(crate) fn body_failed(error: &dyn Display) {
    tracing::debug!(target: "kestrel_rs", error = %Escaped(error), "the body of a response failed before it began");
}

/// A handler set headers that HTTP/2 does not have.
pub(crate) fn connection_headers_dropped(header: &HeaderName) {
    tracing::debug!(target: "kestrel_rs", header = %Escaped(header), "a header of HTTP/1 was left out of a response over HTTP/2");
}

/// Browsers look at the alternative names only.
#[cfg(feature = "tls")]
pub(crate) fn certificate_without_names(certificate: &dyn Display, subject: &dyn Display) {
    tracing::warn!(target: "kestrel_rs::tls", certificate = %Escaped(certificate), subject = %Escaped(subject), "the certificate has no subject alternative name; clients will not accept it for any host name");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_expired(certificate: &dyn Display, subject: &dyn Display, since: &dyn Display) {
    tracing::warn!(target: "kestrel_rs::tls", certificate = %Escaped(certificate), subject = %Escaped(subject), since = %Escaped(since), "the certificate has expired; clients will not accept it");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_not_yet_valid(
    certificate: &dyn Display,
    subject: &dyn Display,
    from: &dyn Display,
) {
    tracing::warn!(target: "kestrel_rs::tls", certificate = %Escaped(certificate), subject = %Escaped(subject), from = %Escaped(from), "the certificate is not valid yet; clients will not accept it");
}

/// Certificates beside the server's own that do not lead from it to an authority.
#[cfg(feature = "tls")]
pub(crate) fn certificates_unrelated(certificate: &dyn Display, count: usize) {
    tracing::warn!(target: "kestrel_rs::tls", certificate = %Escaped(certificate), count, "certificates that are no issuers of the server's are not sent");
}

#[cfg(feature = "tls")]
pub(crate) fn certificate_reloaded(certificate: &dyn std::fmt::Debug) {
    tracing::info!(target: "kestrel_rs::tls", certificate = %Escaped(format_args!("{certificate:?}")), "certificate changed; new connections get the new one");
}

/// The file of the authorities for client certificates changed, and is in use.
#[cfg(feature = "tls")]
pub(crate) fn authorities_reloaded(path: &Path) {
    tracing::info!(target: "kestrel_rs::tls", path = %Escaped(path.display()), "authorities for client certificates changed; new connections are verified by the new ones");
}

/// The file of the authorities for client certificates changed and cannot be used as it is.
#[cfg(feature = "tls")]
pub(crate) fn authorities_not_reloaded(error: &dyn std::fmt::Debug) {
    tracing::warn!(target: "kestrel_rs::tls", error = %Escaped(format_args!("{error:?}")), "the file of the authorities for client certificates changed, but cannot be used; going on with those loaded before");
}

/// The files of a certificate changed and cannot be used as they are.
#[cfg(feature = "tls")]
pub(crate) fn certificate_not_reloaded(error: &dyn std::fmt::Debug) {
    tracing::warn!(target: "kestrel_rs::tls", error = %Escaped(format_args!("{error:?}")), "the certificate's files changed, but cannot be used; going on with the certificate loaded before");
}

#[cfg(feature = "dev-certificate")]
pub(crate) fn development_certificate_created(path: &Path) {
    tracing::info!(target: "kestrel_rs::tls", path = %Escaped(path.display()), "created a development certificate for localhost; browsers warn of it until you trust it");
}

#[cfg(feature = "tls")]
pub(crate) fn development_certificate_unusable(path: &Path, reason: &dyn Display) {
    tracing::warn!(target: "kestrel_rs::tls", path = %Escaped(path.display()), reason = %Escaped(reason), "the development certificate cannot be used; `kestrel_rs::tls::create_development_certificate()` makes a new one");
}

#[cfg(feature = "dev-certificate")]
#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
