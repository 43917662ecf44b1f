//! What one server name may have of its own.

use super::{Certificate, ClientCertificates, ClientTrust};
use crate::connection::TlsVersion;
use crate::protocols::Protocols;

/// What is special about one server name; see [`TlsOptions::server_name`](super::TlsOptions::server_name).
///
/// What is not set here is as the endpoint has it, the certificate included.
///
/// # Example
///
/// ```
/// use kestrel_rs::tls::{ServerName, TlsVersion};
///
/// let modern = ServerName::new().versions([TlsVersion::Tls13]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServerName {
    pub(super) certificate: Option<Certificate>,
    pub(super) settings: Settings,
}

impl ServerName {
    /// All as the endpoint has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// A certificate of its own.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// As [`TlsOptions::client_certificates`](super::TlsOptions::client_certificates), for this name, in handshakes and as
    /// the host of requests: see [`TlsOptions::server_name`](super::TlsOptions::server_name).
    pub fn client_certificates(mut self, mode: ClientCertificates) -> Self {
        self.settings.client_certificates = Some(mode);
        self
    }

    /// As [`TlsOptions::client_trust`](super::TlsOptions::client_trust), for this name.
    pub fn client_trust(mut self, trust: ClientTrust) -> Self {
        self.settings.client_trust = Some(trust);
        self
    }

    /// As [`TlsOptions::versions`](super::TlsOptions::versions), for this name.
    pub fn versions(mut self, versions: impl IntoIterator<Item = TlsVersion>) -> Self {
        self.settings.versions = Some(versions.into_iter().collect());
        self
    }

    /// As [`TlsOptions::protocols`](super::TlsOptions::protocols), for this name. It may have more than the endpoint.
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.settings.protocols = Some(protocols);
        self
    }
}

impl From<Certificate> for ServerName {
    fn from(certificate: Certificate) -> Self {
        Self::new().certificate(certificate)
    }
}

/// What the endpoint and each name may have of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) versions: Option<Vec<TlsVersion>>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) client_certificates: Option<ClientCertificates>,
    pub(super) client_trust: Option<ClientTrust>,
    pub(super) protocols: Option<Protocols>,
}

impl Settings {
    /// These, and what they leave open as `outer` has it.
    pub(super) fn within(&self, outer: &Self) -> Self {
        let (inner, outer) = (self.clone(), outer.clone());
        Self {
            versions: inner.versions.or(outer.versions),
            cipher_suites: inner.cipher_suites.or(outer.cipher_suites),
            client_certificates: inner.client_certificates.or(outer.client_certificates),
            client_trust: inner.client_trust.or(outer.client_trust),
            protocols: inner.protocols.or(outer.protocols),
        }
    }
}
