//! What handshakes are done by: the options, and what was made of them.

use std::sync::{Arc, PoisonError};

use super::client::ClientRules;
use super::config::{Config, Configs, Signer};
use super::names::{NameTable, check_entry};
use super::options::{TlsOptions, TlsSource};
use super::server_name::Settings;
use crate::error::{Error, ErrorKind};
use crate::protocols::Protocols;

#[derive(Debug)]
pub(super) struct TlsSetup {
    pub(super) options: TlsOptions,
    /// `None` if a resolver makes them.
    pub(super) configs: Option<Arc<Configs>>,
    /// Those of the endpoint.
    protocols: Protocols,
}

impl TlsSetup {
    pub(super) fn new(options: TlsOptions, protocols: Protocols) -> Result<Self, Error> {
        options.check()?;
        let configs = match options.source {
            TlsSource::Resolver(_) => None,
            _ => Some(Arc::new(Configs::new(&options, protocols)?)),
        };
        Ok(Self { options, configs, protocols })
    }

    /// Of what a resolver gave: made once for all its clones.
    pub(super) fn configs_of(&self, options: &TlsOptions) -> Result<Arc<Configs>, Error> {
        let protocols = self.protocols;
        let mut built = options.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, configs)) = built.iter().find(|(of, _)| *of == protocols) {
            return Ok(Arc::clone(configs));
        }
        let configs = Arc::new(Configs::new(options, protocols)?);
        built.push((protocols, Arc::clone(&configs)));
        Ok(configs)
    }
}

impl Configs {
    fn new(options: &TlsOptions, protocols: Protocols) -> Result<Self, Error> {
        options.check()?;
        let own = match &options.source {
            TlsSource::Certificate(certificate) => Some(Signer::Certificate(certificate.clone())),
            TlsSource::Selector(selector) => Some(Signer::Selector(selector.clone())),
            TlsSource::Names | TlsSource::Rustls(_) => None,
            TlsSource::Resolver(_) => {
                return Err(Error::new(ErrorKind::Option, "options that a resolver gives cannot have one"));
            }
        };
        if matches!(options.source, TlsSource::Names) && options.names.is_empty() {
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
            (TlsSource::Rustls(config), _) => Some(Config {
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
}
