//! What is made of the options: one configuration of rustls for each entry of the table of names.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};

use super::Certificate;
use super::client::ClientRules;
use super::names::{NameTable, check_entry};
use super::options::{Selector, Source, TlsOptions};
use super::server_name::Settings;
use crate::connection::TlsVersion;
use crate::error::{Error, ErrorKind};
use crate::protocols::Protocols;

/// All configurations of an endpoint.
#[derive(Debug)]
pub(super) struct Configs {
    names: NameTable<Config>,
    /// For names that are not in the table.
    other: Option<Config>,
    /// Some names have other rules for client certificates than others.
    pub(super) has_different_rules: bool,
}

/// The configuration for one entry. Each has its own sessions and ticket keys: what was agreed
/// under the rules of one name is not resumed under those of another.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) rustls: Arc<ServerConfig>,
    selector: Option<Selector>,
    /// What verifies client certificates; `None` if that is the business of an expert.
    pub(super) verifier: Option<Arc<dyn ClientCertVerifier>>,
    pub(super) protocols: Protocols,
    pub(super) rules: ClientRules,
}

impl Configs {
    pub(super) fn new(options: &TlsOptions, protocols: Protocols) -> Result<Self, Error> {
        options.check_timeout()?;
        let own = match &options.source {
            Source::Certificate(certificate) => Some(Signer::Certificate(certificate.clone())),
            Source::Selector(selector) => Some(Signer::Selector(selector.clone())),
            Source::Names | Source::Rustls(_) => None,
            Source::Resolver(_) => {
                return Err(Error::new(ErrorKind::Option, "options that a resolver gives cannot have one"));
            }
        };
        if matches!(options.source, Source::Names) && options.names.is_empty() {
            let what = "there is no certificate; add a server name with one";
            return Err(Error::new(ErrorKind::Option, what));
        }
        let build = |signer: &Signer, settings: &Settings| {
            Config::new(signer, settings, options.resumption, settings.protocols.unwrap_or(protocols))
        };
        let mut entries = Vec::with_capacity(options.names.len());
        for (name, entry) in &options.names {
            let wrong = |what: &dyn std::fmt::Display| {
                Error::new(ErrorKind::Option, format!("server name {name:?}: {what}"))
            };
            check_entry(name).map_err(|why| wrong(&why))?;
            let signer = match (&entry.certificate, &own) {
                (Some(certificate), _) => &Signer::Certificate(certificate.clone()),
                (None, Some(own)) => own,
                (None, None) => {
                    return Err(wrong(&"it has no certificate, and neither has the endpoint"));
                }
            };
            let settings = entry.settings.within(&options.all);
            entries.push((name.clone(), build(signer, &settings).map_err(|error| wrong(&error))?));
        }
        let other = match (&options.source, &own) {
            _ if options.refuse_unknown_names => None,
            (Source::Rustls(config), _) => Some(Config {
                rustls: Arc::clone(config),
                selector: None,
                verifier: None,
                protocols: options.all.protocols.unwrap_or(protocols),
                rules: match options.all.client_certificates {
                    Some(mode) => {
                        ClientRules::Ours(mode, options.all.client_trust.clone().unwrap_or_default())
                    }
                    None => ClientRules::Rustls(Arc::clone(config)),
                },
            }),
            (_, Some(own)) => Some(build(own, &options.all)?),
            (_, None) => None,
        };
        let mut rules =
            entries.iter().map(|(_, config): &(_, Config)| config).chain(&other).map(|config| &config.rules);
        let has_different_rules = rules.next().is_some_and(|first| rules.any(|rules| rules != first));
        Ok(Self { names: NameTable::new(entries), other, has_different_rules })
    }

    /// The configuration for a client that asks for this name.
    pub(super) fn find(&self, name: Option<&str>) -> Option<&Config> {
        self.names.find(name).or(self.other.as_ref())
    }
}

impl Config {
    fn new(
        signer: &Signer,
        settings: &Settings,
        resumption: bool,
        protocols: Protocols,
    ) -> Result<Self, Error> {
        let provider = Arc::new(provider(settings.cipher_suites.as_deref()));
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

/// How many sessions of clients that take no ticket are remembered: some 1 KiB each.
const SESSIONS: usize = 1024;

enum Signer {
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

fn provider(cipher_suites: Option<&[String]>) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    if let Some(names) = cipher_suites {
        provider.cipher_suites.retain(|suite| names.contains(&name_of(suite.suite())));
    }
    provider
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

pub(super) fn is_cipher_suite(name: &str) -> Result<(), Error> {
    let known: Vec<_> = aws_lc_rs::ALL_CIPHER_SUITES.iter().map(|suite| name_of(suite.suite())).collect();
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    let what = format!("cipher_suites: {name:?} is not one of {}", known.join(", "));
    Err(Error::new(ErrorKind::Option, what))
}
