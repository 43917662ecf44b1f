//! Whose rules for client certificates a request's host goes by, on a connection whose own were chosen by the name that
//! the client asked for (SNI).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::timeout;

use super::ClientHello;
use super::client::ClientRules;
use super::config::Configs;
use super::hello::Offers;
use super::names::is_well_formed;
use super::options::Resolver;
use super::setup::TlsSetup;
use crate::connection::{HostRules, HostVerdict, WeakConnection};

/// On an endpoint with a table of names: a host has the rules of the entry that would serve a client that asks for it.
/// Where none would, it has no rules.
pub(super) struct ByTable {
    pub(super) configs: Arc<Configs>,
    pub(super) rules: ClientRules,
}

impl HostRules for ByTable {
    fn judge(&self, host: Option<&str>) -> HostVerdict {
        match self.configs.find(host) {
            Some(config) if config.rules != self.rules => HostVerdict::Misdirected,
            _ => HostVerdict::Fits,
        }
    }
}

impl fmt::Debug for ByTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByTable").finish_non_exhaustive()
    }
}

/// On an endpoint with a resolver: it is asked what it would have chosen, had the client asked for the host. A host for
/// which it has nothing fits no connection.
pub(super) struct ByResolver {
    pub(super) setup: Arc<TlsSetup>,
    pub(super) resolve: Resolver,
    pub(super) connection: WeakConnection,
    pub(super) server_name: Option<String>,
    pub(super) offers: Arc<Offers>,
    pub(super) rules: ClientRules,
    /// What came out for the last other host: a browser asks for many things of one.
    pub(super) last: Arc<Mutex<Option<Judged>>>,
}

/// A host, and whether it fits the connection.
type Judged = (Option<String>, bool);

impl HostRules for ByResolver {
    fn judge(&self, host: Option<&str>) -> HostVerdict {
        let name = host.filter(|host| is_well_formed(host)).map(str::to_ascii_lowercase);
        if name == self.server_name {
            return HostVerdict::Fits;
        }
        if let Some((last, fits)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *last == name
        {
            return if *fits { HostVerdict::Fits } else { HostVerdict::Misdirected };
        }
        let Some(connection) = self.connection.connection() else { return HostVerdict::Misdirected };
        let hello = ClientHello::asking_for(name.clone(), connection, Arc::clone(&self.offers));
        let options = (self.resolve)(hello);
        let (setup, rules, last) = (Arc::clone(&self.setup), self.rules.clone(), Arc::clone(&self.last));
        HostVerdict::Asking(Box::pin(async move {
            let options = match setup.options.handshake_timeout {
                Some(patience) => timeout(patience, options).await.ok().and_then(Result::ok),
                None => options.await.ok(),
            };
            let Some(configs) = options.and_then(|options| setup.configs_of(&options).ok()) else {
                return false; // it may have an answer next time
            };
            let fits = configs.find(name.as_deref()).is_some_and(|config| config.rules == rules);
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((name, fits));
            fits
        }))
    }
}

impl fmt::Debug for ByResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByResolver").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
