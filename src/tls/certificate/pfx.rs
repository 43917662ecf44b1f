//! PFX files (PKCS#12): a key and its certificates behind one password.

#[cfg(feature = "pfx")]
use p12_keystore::Pkcs12Archive;
#[cfg(feature = "pfx")]
use p12_keystore::error::Error as PfxError;
#[cfg(feature = "pfx")]
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::origin::Origin;
use crate::error::Error;

pub(super) type Content = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificates in the order of the file and the first key.
pub(super) fn read(bytes: &[u8], password: &str, origin: Origin<'_>) -> Result<Content, Error> {
    if bytes.is_empty() {
        return Err(origin.error("is empty; it must hold a certificate and its key"));
    }
    if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
        return Err(origin.error("is in PEM and no PFX file; load it with `Certificate::from_pem_files`"));
    }
    open(bytes, password, origin)
}

#[cfg(not(feature = "pfx"))]
fn open(_: &[u8], _: &str, origin: Origin<'_>) -> Result<Content, Error> {
    Err(origin.error(format_args!(
        "cannot be read: PFX files take the cargo feature `pfx`; turn it on, or convert it with `openssl pkcs12 -nodes \
         -in {} -out NEW` and load that with `Certificate::from_pem_file`",
        origin.argument()
    )))
}

#[cfg(feature = "pfx")]
fn open(bytes: &[u8], password: &str, origin: Origin<'_>) -> Result<Content, Error> {
    let archive =
        Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| explain(error, password, origin))?;
    let certificates: Vec<_> =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    if certificates.is_empty() {
        return Err(origin.error("holds no certificate"));
    }
    let Some(key) = archive.keys.first() else {
        return Err(origin.error(
            "holds certificates, but no private key; export it anew with the key (`openssl pkcs12 -export -inkey`)",
        ));
    };
    Ok((certificates, PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()).into()))
}

#[cfg(feature = "pfx")]
fn explain(error: PfxError, password: &str, origin: Origin<'_>) -> Error {
    match error {
        PfxError::MacError(_) | PfxError::UnpadError | PfxError::Pkcs5Error(_) => {
            origin.error(if password.is_empty() {
                "the empty password does not open it; give its password"
            } else {
                "cannot be opened with the password given; is it the right one?"
            })
        }
        PfxError::UnsupportedEncryptionScheme | PfxError::UnsupportedMacAlgorithm => origin.caused(
            "is encrypted in a way that is not read; export it anew with `openssl pkcs12 -export -keypbe AES-256-CBC \
             -certpbe AES-256-CBC -macalg sha256`",
            error,
        ),
        error => origin.caused("is damaged, or no PFX file", error),
    }
}
