//! A certificate with its chain and its private key, from files that are watched or from memory.
//!
//! ```no_run
//! use kestrel_rs::Certificate;
//!
//! # fn main() -> Result<(), kestrel_rs::Error> {
//! let certificate = Certificate::from_pem_files("fullchain.pem", "privkey.pem")?;
//! # Ok(())
//! # }
//! ```
//!
//! **Differences from Kestrel**: the chain of a PFX file is sent too; a chain in any order is put in order;
//! a key file that changes is noticed, not only a certificate file, and a change closes no connection;
//! Ed25519 keys work; the certificate stores of Windows are not read.

mod chain;
mod origin;
mod pem;
mod pfx;
mod source;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

pub(in crate::tls) use self::chain::is_current;
use self::chain::{certified_key, summary};
use self::origin::Origin;
use self::source::{Format, Source};
use super::reload::{Followed, FromFiles, WatchedFiles};
#[cfg(test)]
use super::reload::{Watch, watch};
use crate::error::Error;
use crate::telemetry::events;

/// A server certificate: its chain and its private key.
///
/// Clones are cheap and share what they hold. A certificate made from files follows them while an
/// endpoint that was given it accepts connections (see [Reload](#reload)); the files are read at once, so that a mistake is found at the start.
///
/// # What is accepted
///
/// | what | how |
/// |---|---|
/// | keys | RSA (2048 to 8192 bits), ECDSA with P-256, P-384 or P-521, Ed25519 |
/// | key formats | PKCS#8, PKCS#1 and SEC1, in PEM or DER; with the feature `encrypted-keys` PKCS#8 encrypted with PBES2; with `pfx` PFX |
/// | chain | the server's certificate and its issuers in any order; it is sent in order and without the root |
///
/// PEM may have text around its blocks, CRLF line ends and a byte order mark.
///
/// # Reload
///
/// The files are looked at every 5 seconds, symbolic links followed (so that a Kubernetes secret that is
/// swapped counts). When they have changed and stood still for a second, they are loaded: new connections get
/// the new certificate, live ones go on. Files that cannot be used, for instance since the key is not
/// written yet, are logged as a warning, the certificate loaded before stays, and they are tried again;
/// a deleted file is ignored. [`without_reload`](Self::without_reload) turns this off.
///
/// Files are looked at rather than notified of by the system: notifications do not reach network mounts
/// and many container mounts, follow no links, and must be set up anew for each folder that is replaced.
/// What polling costs is two `stat` calls every 5 seconds, on a thread that may block.
///
/// # Errors
///
/// All constructors return an [`Error`] with [`is_certificate`](Error::is_certificate), which names the file
/// and says what to do: the file is missing or may not be read, holds no certificate or no key, is damaged,
/// the password is wrong, missing or given for a key that is not encrypted, the key is encrypted in the old
/// format of OpenSSL, the key belongs to another certificate, or the certificate is not for servers (it has an
/// extended key usage without server authentication).
///
/// A certificate that has expired, that is not valid yet, or that has no subject alternative name is no
/// error but an event at warning level.
///
/// # Differences from Kestrel
///
/// Kestrel sends only the leaf of a PFX file, takes the first certificate of a PEM file for the leaf,
/// refuses Ed25519 keys and keys in DER, and restarts the endpoint when a certificate changes.
///
/// # Example
///
/// ```
/// use kestrel_rs::Certificate;
///
/// let error = Certificate::from_pem_files("/nowhere/site.pem", "/nowhere/site.key").unwrap_err();
/// assert!(error.is_certificate());
/// assert!(error.to_string().contains("/nowhere/site.pem"));
/// ```
#[derive(Clone)]
pub struct Certificate {
    pub(in crate::tls) shared: Arc<Shared>,
}

/// What the clones of a certificate share.
pub(in crate::tls) struct Shared {
    current: RwLock<Arc<CertifiedKey>>,
    /// Of a certificate whose files are followed.
    files: Option<(Source, WatchedFiles)>,
}

impl Certificate {
    /// A chain in one PEM file and its key in another, or both in the same.
    ///
    /// A certificate or a key in DER is recognized too.
    ///
    /// ```no_run
    /// # use kestrel_rs::Certificate;
    /// # fn main() -> Result<(), kestrel_rs::Error> {
    /// let certificate = Certificate::from_pem_files(
    ///     "/etc/letsencrypt/live/example.org/fullchain.pem",
    ///     "/etc/letsencrypt/live/example.org/privkey.pem",
    /// )?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_source(Source::new(certificate.as_ref(), key.as_ref(), Format::Pem { password: None }))
    }

    /// The chain and its key in one PEM file, in any order.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_pem_files(path.as_ref(), path.as_ref())
    }

    /// As [`from_pem_files`](Self::from_pem_files), for a key that is encrypted (`ENCRYPTED PRIVATE KEY`). It takes the
    /// cargo feature `encrypted-keys`.
    ///
    /// The password is kept for as long as the certificate, since the files may change. A key that is not
    /// encrypted is an error, as it is for Kestrel: somebody believes that it is.
    pub fn from_encrypted_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        password: &str,
    ) -> Result<Self, Error> {
        let format = Format::Pem { password: Some(password.to_owned()) };
        Self::from_source(Source::new(certificate.as_ref(), key.as_ref(), format))
    }

    /// A PFX file (PKCS#12, `.pfx` or `.p12`). Its whole chain is sent. The password may be empty. It takes the cargo
    /// feature `pfx`.
    ///
    /// The password is kept for as long as the certificate, since the file may change.
    pub fn from_pfx_file(path: impl AsRef<Path>, password: &str) -> Result<Self, Error> {
        let format = Format::Pfx { password: password.to_owned() };
        Self::from_source(Source::new(path.as_ref(), path.as_ref(), format))
    }

    /// A certificate in one DER file (`.cer`, `.crt`, `.der`) and its key in another.
    ///
    /// A DER file holds one certificate; with issuers to send, take PEM or [`from_der`](Self::from_der).
    pub fn from_der_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_source(Source::new(certificate.as_ref(), key.as_ref(), Format::Der))
    }

    /// A chain and its key in PEM, from memory. Nothing is reloaded.
    pub fn from_pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        let (certificate_origin, key_origin) = (Origin::memory("certificate"), Origin::memory("private key"));
        let certificates = pem::certificates(certificate.as_ref(), certificate_origin)?;
        let key = pem::key(key.as_ref(), None, key_origin)?;
        certified_key(&certificates, &key, certificate_origin, key_origin).map(Self::fixed)
    }

    /// The content of a PFX file, from memory. Nothing is reloaded.
    pub fn from_pfx(pfx: impl AsRef<[u8]>, password: &str) -> Result<Self, Error> {
        let origin = Origin::memory("certificate");
        let (certificates, key) = pfx::read(pfx.as_ref(), password, origin)?;
        certified_key(&certificates, &key, origin, origin).map(Self::fixed)
    }

    /// A chain and its key in DER, from memory. Nothing is reloaded.
    ///
    /// ```
    /// # use kestrel_rs::Certificate;
    /// // No certificate at all.
    /// let chain: [&[u8]; 0] = [];
    /// assert!(Certificate::from_der(chain, b"").is_err());
    /// ```
    pub fn from_der<C>(chain: impl IntoIterator<Item = C>, key: impl AsRef<[u8]>) -> Result<Self, Error>
    where
        C: AsRef<[u8]>,
    {
        let (certificate_origin, key_origin) = (Origin::memory("certificate"), Origin::memory("private key"));
        let certificates = chain
            .into_iter()
            .map(|der| pem::der_certificate(der.as_ref(), certificate_origin))
            .collect::<Result<Vec<CertificateDer<'static>>, _>>()?;
        if certificates.is_empty() {
            return Err(
                certificate_origin.error("the chain is empty; it must begin with the server's certificate")
            );
        }
        let key = pem::der_key(key.as_ref(), None, key_origin)?;
        certified_key(&certificates, &key, certificate_origin, key_origin).map(Self::fixed)
    }

    /// The certificate as it is now, whatever becomes of its files. Clones made before keep following them.
    pub fn without_reload(self) -> Self {
        let current = self.current();
        Self { shared: Arc::new(Shared { current: RwLock::new(current), files: None }) }
    }

    /// What a handshake that begins now uses.
    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        self.shared.current()
    }

    /// Follows the files until it is dropped; `None` if there are none.
    #[cfg(test)]
    pub(in crate::tls) fn watch(&self) -> Option<Watch> {
        watch(&self.shared)
    }

    /// What follows the files.
    pub(in crate::tls) fn followed(&self) -> Followed {
        Followed::new(Arc::clone(&self.shared))
    }

    fn from_source(source: Source) -> Result<Self, Error> {
        let watched = WatchedFiles::new(source.files().map(Path::to_path_buf));
        let current = RwLock::new(Arc::new(source.load()?));
        Ok(Self { shared: Arc::new(Shared { current, files: Some((source, watched)) }) })
    }

    /// Whether the first certificate of a PEM file has begun and not expired.
    pub(in crate::tls) fn is_current_pem(path: &Path) -> Result<bool, Error> {
        let origin = Origin::file("certificate", path);
        let certificates = pem::certificates(&origin::read(origin)?, origin)?;
        Ok(certificates.first().is_some_and(is_current))
    }

    fn fixed(key: CertifiedKey) -> Self {
        Self { shared: Arc::new(Shared { current: RwLock::new(Arc::new(key)), files: None }) }
    }
}

/// Names and dates, nothing of the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl Shared {
    fn current(&self) -> Arc<CertifiedKey> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FromFiles for Shared {
    type Made = CertifiedKey;

    fn watched(&self) -> Option<&WatchedFiles> {
        self.files.as_ref().map(|(_, watched)| watched)
    }

    fn make(&self) -> Result<CertifiedKey, Error> {
        match &self.files {
            Some((source, _)) => source.load(),
            None => Ok(CertifiedKey::clone(&self.current())),
        }
    }

    fn take(&self, key: CertifiedKey) {
        if key.cert != self.current().cert {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
            events::certificate_reloaded(self);
        }
    }

    fn keep(&self, error: &Error) {
        events::certificate_not_reloaded(error);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.current();
        let mut debug = f.debug_struct("Certificate");
        if let Some(summary) = current.cert.first().and_then(summary) {
            debug.field("subject", &summary.subject);
            debug.field("names", &summary.names);
            debug.field("not_after", &summary.not_after);
        }
        let files: Vec<_> = self.watched().into_iter().flat_map(WatchedFiles::files).collect();
        debug.field("files", &files).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
