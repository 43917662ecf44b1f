//! What is known of a connection's TLS.

use std::fmt;
use std::sync::Arc;

use super::host_rules::HostRules;
use crate::protocols::Protocols;

/// What the TLS handshake of a connection came to.
///
/// A handler takes it as an extractor, `Option<TlsInfo>` where it also serves plain HTTP; a
/// connection layer after TLS asks [`ConnectionInfo::tls`](super::ConnectionInfo::tls). Cloning is
/// cheap.
///
/// # Differences from Kestrel
///
/// The server name is always there if the client sent a good one; Kestrel knows it only where a
/// selector, a callback or a table of names asked for it.
///
/// # Example
///
/// ```
/// use kestrel_rs::TlsInfo;
///
/// async fn whoami(tls: Option<TlsInfo>) -> String {
///     match tls {
///         Some(tls) => format!("{} with {}", tls.version(), tls.cipher_suite()),
///         None => "in clear".to_owned(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(whoami));
/// ```
#[derive(Clone)]
pub struct TlsInfo(Arc<TlsFacts>);

#[derive(Debug)]
pub(crate) struct TlsFacts {
    pub(crate) version: TlsVersion,
    /// The IANA number, and the name for it.
    pub(crate) cipher_suite: (u16, String),
    pub(crate) server_name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) peer_certificates: Vec<Vec<u8>>,
    pub(crate) resumed: bool,
    /// What the server name, else the endpoint, allows.
    pub(crate) protocols: Protocols,
    /// `None`: all hosts have the same rules for client certificates.
    pub(crate) host_rules: Option<Arc<dyn HostRules>>,
}

impl TlsInfo {
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "made by TLS only"))]
    pub(crate) fn new(inner: TlsFacts) -> Self {
        Self(Arc::new(inner))
    }

    /// The version that was agreed on.
    pub fn version(&self) -> TlsVersion {
        self.0.version
    }

    /// The name of the cipher suite as IANA has it: `TLS_AES_256_GCM_SHA384`.
    pub fn cipher_suite(&self) -> &str {
        &self.0.cipher_suite.1
    }

    /// The number of the cipher suite as IANA has it: `0x1302`.
    pub fn cipher_suite_number(&self) -> u16 {
        self.0.cipher_suite.0
    }

    /// The name that the client asked for (SNI), in lower case; `None` if it sent none, or an IP
    /// address.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// The protocol that was agreed on by ALPN: `b"h2"`, `b"http/1.1"`; `None` if the client did
    /// not ask.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.alpn.as_deref()
    }

    /// The client's certificates in DER, its own first, as it sent them: they have been verified
    /// by what the endpoint trusts. Empty if it sent none.
    pub fn peer_certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.peer_certificates.iter().map(Vec::as_slice)
    }

    /// Whether the handshake was an abbreviated one, with what both sides remembered of an earlier
    /// connection.
    pub fn is_resumed(&self) -> bool {
        self.0.resumed
    }

    pub(crate) fn host_rules(&self) -> Option<&dyn HostRules> {
        self.0.host_rules.as_deref()
    }

    pub(crate) fn protocols(&self) -> Protocols {
        self.0.protocols
    }
}

impl fmt::Debug for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsInfo")
            .field("version", &self.0.version)
            .field("cipher_suite", &self.0.cipher_suite.1)
            .field("server_name", &self.0.server_name)
            .field("alpn", &self.0.alpn.as_deref().map(String::from_utf8_lossy))
            .field("peer_certificates", &self.0.peer_certificates.len())
            .field("resumed", &self.0.resumed)
            .finish()
    }
}

/// A version of TLS. Older ones than these are not spoken.
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::TlsVersion;
///
/// assert!(TlsVersion::Tls12 < TlsVersion::Tls13);
/// assert_eq!(TlsVersion::Tls13.to_string(), "TLS 1.3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}
