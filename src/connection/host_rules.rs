//! Which hosts a connection may be asked for: those whose rules for client certificates are the ones that it was made
//! under (RFC 9110 section 15.5.20).

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Judges the hosts of the requests of a connection. Made by TLS, where names have rules of their own.
pub(crate) trait HostRules: fmt::Debug + Send + Sync {
    /// `host` is the name or address in a request, without port; `None` if the request has none.
    fn judge(&self, host: Option<&str>) -> HostVerdict;
}

/// Whether a request for a host may come on a connection.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "only TLS judges"))]
pub(crate) enum HostVerdict {
    Fits,
    Misdirected,
    /// It is yet to be found out; true if it fits.
    Asking(Pin<Box<dyn Future<Output = bool> + Send>>),
}
