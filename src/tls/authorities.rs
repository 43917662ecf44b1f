//! The authorities that client certificates are verified by, from a file that is followed or from memory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::reload::{FromFiles, WatchedFiles};
use crate::error::{BoxError, Error, ErrorKind};
use crate::telemetry::events;

/// Some authorities, at least one.
pub(super) struct Authorities {
    roots: Vec<TrustAnchor<'static>>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

impl Authorities {
    /// Those in a PEM file; blocks while it is read.
    pub(super) fn from_pem_file(path: &Path) -> Result<Self, Error> {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(&path.display(), error))?;
        Self::new(&certificates, &path.display())
    }

    pub(super) fn new(
        certificates: &[CertificateDer<'static>],
        origin: &dyn fmt::Display,
    ) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(cannot_trust(origin, "there is no certificate in it"));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.clone()).map_err(|error| failed(origin, error))?;
        }
        Self::from_roots(roots)
    }

    /// Those that the system trusts now.
    pub(super) fn of_the_system() -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        match found.errors.into_iter().next() {
            Some(error) if added == 0 => Err(failed(&"the authorities of the system", error)),
            None if added == 0 => Err(cannot_trust(
                &"the authorities of the system",
                "there are none; install ca-certificates, or give them with ClientTrust::from_pem_file",
            )),
            _ => Self::from_roots(roots),
        }
    }

    fn from_roots(roots: RootCertStore) -> Result<Self, Error> {
        let anchors = roots.roots.clone();
        // How signatures are verified does not depend on the cipher suites that an endpoint has.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            // The names of authorities in the request would tell strangers whom we trust.
            .clear_root_hint_subjects()
            .build()
            .map_err(|error| failed(&"the authorities for client certificates", error))?;
        Ok(Self { roots: anchors, verifier })
    }

    pub(super) fn len(&self) -> usize {
        self.roots.len()
    }
}

impl PartialEq for Authorities {
    fn eq(&self, other: &Self) -> bool {
        self.roots == other.roots
    }
}

/// The authorities in a file, as they are now.
pub(super) struct AuthorityFile {
    path: PathBuf,
    current: RwLock<Arc<Authorities>>,
    watched: WatchedFiles,
}

impl AuthorityFile {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        // From the root, since the program may change its working folder between two loads.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let watched = WatchedFiles::new([path.clone()]);
        let current = RwLock::new(Arc::new(Authorities::from_pem_file(&path)?));
        Ok(Self { path, current, watched })
    }

    pub(super) fn current(&self) -> Arc<Authorities> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PartialEq for AuthorityFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl FromFiles for AuthorityFile {
    type Made = Authorities;

    fn watched(&self) -> Option<&WatchedFiles> {
        Some(&self.watched)
    }

    fn make(&self) -> Result<Authorities, Error> {
        Authorities::from_pem_file(&self.path)
    }

    fn take(&self, made: Authorities) {
        if made != *self.current() {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
            events::authorities_reloaded(&self.path);
        }
    }

    fn keep(&self, error: &Error) {
        events::authorities_not_reloaded(error);
    }
}

fn cannot_trust(origin: &dyn fmt::Display, why: &str) -> Error {
    Error::new(ErrorKind::Option, format!("cannot trust {origin}: {why}"))
}

fn failed(origin: &dyn fmt::Display, error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Option, format!("cannot trust {origin}")).with_source(error)
}
