//! What is made of the options: one configuration of rustls for each entry of the table of names.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};

use super::Certificate;
use super::client::ClientRules;
use super::names::NameTable;
use super::server_name::Settings;
use crate::connection::TlsVersion;
use crate::error::{Error, ErrorKind};
use crate::protocols::Protocols;

/// All configurations of an endpoint.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) names: NameTable<Config>,
    /// For names that are not in the table.
    pub(super) other: Option<Config>,
    /// Some names have other rules for client certificates than others.
    pub(super) has_different_rules: bool,
}

/// The configuration for one entry. Each has its own sessions and ticket keys: what was agreed
/// under the rules of one name is not resumed under those of another.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) rustls: Arc<ServerConfig>,
    pub(super) selector: Option<Selector>,
    /// What verifies client certificates; `None` if that is the business of an expert.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) protocols: Protocols,
    pub(super) rules: ClientRules,
}

impl Configs {
    /// The configuration for a client that asks for this name.
    pub(super) fn find(&self, name: Option<&str>) -> Option<&Config> {
        self.names.find(name).or(self.other.as_ref())
    }
}

impl Config {
    pub(super) fn new(
        signer: &Signer,
        settings: &Settings,
        resumption: bool,
        protocols: Protocols,
    ) -> Result<Self, Error> {
        let provider = Arc::new(provider(settings.cipher_suites.as_deref())?);
        let failed = |error: rustls::Error| {
            Error::new(ErrorKind::Option, "rustls refuses these options").with_source(error)
        };
        let trust = settings.client_trust.clone().unwrap_or_default();
        let mode = settings.client_certificates.unwrap_or_default();
        let verifier = trust.verifier(mode, &provider)?;
        let (resolver, selector): (Arc<dyn ResolvesServerCert>, _) = match signer {
            Signer::Certificate(certificate) => (Arc::new(Current(certificate.clone())), None),
            Signer::Selector(selector) => (Arc::new(Nothing), Some(selector.clone())),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(settings.versions.as_deref())?)
            .map_err(failed)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(resolver);
        if protocols.contains(Protocols::HTTP2) {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        if protocols.contains(Protocols::HTTP1) {
            config.alpn_protocols.extend([b"http/1.1".to_vec(), b"http/1.0".to_vec()]);
        }
        if resumption {
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(failed)?;
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let rules = ClientRules::Ours(mode, trust);
        Ok(Self { rustls: Arc::new(config), selector, verifier: Some(verifier), protocols, rules })
    }

    /// The same with the certificate that the selector has for this name; `None` if it has none.
    pub(super) fn for_name(&self, name: Option<&str>) -> Option<Self> {
        let mut chosen = self.clone();
        if let Some(selector) = &self.selector {
            let mut config = ServerConfig::clone(&self.rustls);
            config.cert_resolver = Arc::new(Current(selector(name)?));
            chosen.rustls = Arc::new(config);
        }
        Some(chosen)
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("protocols", &self.protocols).finish_non_exhaustive()
    }
}

/// Gives the certificate for a name.
pub(super) type Selector = Arc<dyn Fn(Option<&str>) -> Option<Certificate> + Send + Sync>;

/// How many sessions of clients that take no ticket are remembered: some 1 KiB each.
const SESSIONS: usize = 1024;

pub(super) enum Signer {
    Certificate(Certificate),
    Selector(Selector),
}

/// Asks for the certificate at each handshake, so that a new one is shown once it is loaded.
#[derive(Debug)]
struct Current(Certificate);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current())
    }
}

/// In the place of what the selector will say.
#[derive(Debug)]
struct Nothing;

impl ResolvesServerCert for Nothing {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Whether rustls has what the settings ask for.
pub(super) fn check(settings: &Settings) -> Result<(), Error> {
    provider(settings.cipher_suites.as_deref())?;
    versions(settings.versions.as_deref())?;
    Ok(())
}

fn provider(cipher_suites: Option<&[String]>) -> Result<CryptoProvider, Error> {
    let mut provider = aws_lc_rs::default_provider();
    let Some(names) = cipher_suites else { return Ok(provider) };
    let known: Vec<_> = provider.cipher_suites.iter().map(|suite| name_of(suite.suite())).collect();
    let known = known.join(", ");
    if names.is_empty() {
        return Err(Error::new(
            ErrorKind::Option,
            format!("cipher_suites: there is none; give some of {known}"),
        ));
    }
    for name in names {
        if !provider.cipher_suites.iter().any(|suite| name_of(suite.suite()) == *name) {
            let what = format!("cipher_suites: {name:?} is not one of {known}");
            return Err(Error::new(ErrorKind::Option, what));
        }
    }
    provider.cipher_suites.retain(|suite| names.contains(&name_of(suite.suite())));
    Ok(provider)
}

fn versions(versions: Option<&[TlsVersion]>) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    let Some(versions) = versions else { return Ok(rustls::ALL_VERSIONS.to_vec()) };
    if versions.is_empty() {
        return Err(Error::new(ErrorKind::Option, "versions: there is none; give TLS 1.2, 1.3 or both"));
    }
    let of = |version: &TlsVersion| match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    };
    Ok(versions.iter().map(of).collect())
}

/// The IANA name: rustls writes the version into those of TLS 1.3.
pub(super) fn name_of(suite: CipherSuite) -> String {
    let name = format!("{suite:?}");
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => name,
    }
}
