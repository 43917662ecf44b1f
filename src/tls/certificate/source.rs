//! The files of a certificate, from which it is loaded at first and again when they change.

use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;

use super::chain::certified_key;
use super::origin::{Origin, absolute, read};
use super::{pem, pfx};
use crate::error::Error;

/// No `Debug`: it may hold a password.
pub(in crate::tls) struct Source {
    certificate: PathBuf,
    /// The same as `certificate` where both are in one file.
    key: PathBuf,
    format: Format,
}

pub(super) enum Format {
    Pem { password: Option<String> },
    Der,
    Pfx { password: String },
}

impl Source {
    pub(super) fn new(certificate: &Path, key: &Path, format: Format) -> Self {
        Self { certificate: absolute(certificate), key: absolute(key), format }
    }

    /// The files, each once.
    pub(in crate::tls) fn files(&self) -> impl Iterator<Item = &Path> {
        let key = (self.key != self.certificate).then_some(self.key.as_path());
        [self.certificate.as_path()].into_iter().chain(key)
    }

    /// Reads the files; blocks while it does.
    pub(in crate::tls) fn load(&self) -> Result<CertifiedKey, Error> {
        let certificate_origin = Origin::file("certificate", &self.certificate);
        let key_origin = Origin::file("private key", &self.key);
        let (certificates, key) = match &self.format {
            Format::Pem { password } => {
                let certificates = pem::certificates(&read(certificate_origin)?, certificate_origin)?;
                (certificates, pem::key(&read(key_origin)?, password.as_deref(), key_origin)?)
            }
            Format::Der => {
                let certificate = pem::der_certificate(&read(certificate_origin)?, certificate_origin)?;
                (vec![certificate], pem::der_key(&read(key_origin)?, None, key_origin)?)
            }
            Format::Pfx { password } => pfx::read(&read(certificate_origin)?, password, certificate_origin)?,
        };
        certified_key(&certificates, &key, certificate_origin, key_origin)
    }
}
