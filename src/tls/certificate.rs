//! A certificate with its private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{BoxError, Error, ErrorKind};

/// A server's certificate, those of its issuers, and its private key. Cloning is cheap.
///
/// # Example
///
/// ```no_run
/// use kestrel_rs::Certificate;
///
/// let certificate = Certificate::from_pem_files("cert.pem", "key.pem")?;
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// The certificate chain, its own certificate first, and the private key, each from a PEM file.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let failed = |path: &Path, error: BoxError| {
            Error::new(ErrorKind::Option, format!("cannot load {}: {error}", path.display()))
                .with_source(error)
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(certificate, error.into()))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.into()))?;
        CertifiedKey::from_der(chain, private, &rustls::crypto::aws_lc_rs::default_provider())
            .map(|certified| Self(Arc::new(certified)))
            .map_err(|error| failed(key, error.into()))
    }

    /// What to show the next client.
    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}
