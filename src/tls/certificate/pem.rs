//! Certificates and keys in PEM and DER.
//!
//! What is around the blocks is ignored, as are blocks of other kinds; lines may end in CRLF and the
//! text may begin with a byte order mark. **Differences from Kestrel**: a key may be in DER too, and
//! a file whose only flaw is that its certificate and key are swapped says so.

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use x509_parser::pem::Pem;
use x509_parser::prelude::PEMError;

use super::origin::Origin;
use crate::error::Error;

/// All certificates, in the order of the file.
pub(super) fn certificates(bytes: &[u8], origin: Origin<'_>) -> Result<Vec<CertificateDer<'static>>, Error> {
    if is_der(bytes) {
        if origin.looks_like_pfx() {
            return Err(origin.error("is a PFX file; load it with `Certificate::from_pfx_file`"));
        }
        return Ok(vec![CertificateDer::from(bytes.to_vec())]);
    }
    let mut certificates = Vec::new();
    let mut keys = false;
    for block in blocks(bytes, origin)? {
        match block {
            PemBlock::Certificate(der) => certificates.push(CertificateDer::from(der)),
            PemBlock::Key(_) => keys = true,
            PemBlock::Other(_) => {}
        }
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(origin.error(match (bytes.is_empty(), keys) {
        (true, _) => "is empty; it must hold a certificate",
        (_, true) => "holds a private key and no certificate; are the two files swapped?",
        _ => "holds no certificate; expected a block that begins with -----BEGIN CERTIFICATE-----",
    }))
}

/// The first private key; `password` must be given if the key is encrypted, and only then.
pub(super) fn key(
    bytes: &[u8],
    password: Option<&str>,
    origin: Origin<'_>,
) -> Result<PrivateKeyDer<'static>, Error> {
    if is_der(bytes) {
        return der_key(bytes, password, origin);
    }
    let mut others = Vec::new();
    for block in blocks(bytes, origin)? {
        match block {
            PemBlock::Key(Key::Clear(_)) if password.is_some() => return Err(not_encrypted(origin)),
            PemBlock::Key(Key::Clear(key)) => return Ok(key),
            PemBlock::Key(Key::Encrypted(der)) => return decrypt(&der, password, origin),
            PemBlock::Key(Key::EncryptedTraditional) => {
                return Err(origin.error(format_args!(
                    "the key is encrypted in the old format of OpenSSL (Proc-Type: 4,ENCRYPTED), which is weak \
                     and not read; convert it with `openssl pkcs8 -topk8 -in {} -out NEW`",
                    origin.argument()
                )));
            }
            PemBlock::Certificate(_) => others.push("CERTIFICATE".to_owned()),
            PemBlock::Other(label) => others.push(label),
        }
    }
    let advice = "expected a block that begins with -----BEGIN PRIVATE KEY-----";
    Err(match others.first() {
        _ if bytes.is_empty() => origin.error("is empty; it must hold a private key"),
        Some(label) => origin.error(format_args!("holds no private key, but a {label}; {advice}")),
        None => origin.error(format_args!("holds no private key; {advice}")),
    })
}

/// One certificate in DER.
pub(super) fn der_certificate(bytes: &[u8], origin: Origin<'_>) -> Result<CertificateDer<'static>, Error> {
    if is_der(bytes) {
        return Ok(CertificateDer::from(bytes.to_vec()));
    }
    Err(origin.error(not_der(bytes, "a certificate")))
}

/// A private key in DER: PKCS#8, PKCS#1 or SEC1, encrypted PKCS#8 with a password.
pub(super) fn der_key(
    bytes: &[u8],
    password: Option<&str>,
    origin: Origin<'_>,
) -> Result<PrivateKeyDer<'static>, Error> {
    if !is_der(bytes) {
        return Err(origin.error(not_der(bytes, "a private key")));
    }
    if is_encrypted(bytes) {
        return decrypt(bytes, password, origin);
    }
    if password.is_some() {
        return Err(not_encrypted(origin));
    }
    PrivateKeyDer::try_from(bytes.to_vec())
        .map_err(|error| origin.error(format_args!("holds no private key that can be read: {error}")))
}

enum PemBlock {
    Certificate(Vec<u8>),
    Key(Key),
    /// With its label.
    Other(String),
}

enum Key {
    Clear(PrivateKeyDer<'static>),
    /// PKCS#8, encrypted.
    Encrypted(Vec<u8>),
    /// PKCS#1 or SEC1 with OpenSSL's own encryption.
    EncryptedTraditional,
}

fn blocks(bytes: &[u8], origin: Origin<'_>) -> Result<Vec<PemBlock>, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let traditional = memchr::memmem::find(bytes, b"Proc-Type: 4,ENCRYPTED").is_some();
    let mut blocks = Vec::new();
    for pem in Pem::iter_from_buffer(bytes) {
        let Pem { label, contents } = match pem {
            Ok(pem) => pem,
            // The headers of such a block are no base64.
            Err(PEMError::Base64DecodeError) if traditional => {
                blocks.push(PemBlock::Key(Key::EncryptedTraditional));
                continue;
            }
            Err(error) => return Err(origin.caused("is damaged: a PEM block cannot be decoded", error)),
        };
        blocks.push(match label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => PemBlock::Certificate(contents),
            "PRIVATE KEY" => PemBlock::Key(Key::Clear(PrivatePkcs8KeyDer::from(contents).into())),
            "RSA PRIVATE KEY" => PemBlock::Key(Key::Clear(PrivatePkcs1KeyDer::from(contents).into())),
            "EC PRIVATE KEY" => PemBlock::Key(Key::Clear(PrivateSec1KeyDer::from(contents).into())),
            "ENCRYPTED PRIVATE KEY" => PemBlock::Key(Key::Encrypted(contents)),
            _ => PemBlock::Other(label),
        });
    }
    Ok(blocks)
}

fn decrypt(der: &[u8], password: Option<&str>, origin: Origin<'_>) -> Result<PrivateKeyDer<'static>, Error> {
    let Some(password) = password else {
        return Err(origin.error(
            "the key is encrypted and no password was given; use `Certificate::from_encrypted_pem_files`",
        ));
    };
    open(der, password, origin)
}

#[cfg(not(feature = "encrypted-keys"))]
fn open(_: &[u8], _: &str, origin: Origin<'_>) -> Result<PrivateKeyDer<'static>, Error> {
    Err(origin.error(format_args!(
        "the key is encrypted, and encrypted keys take the cargo feature `encrypted-keys`; turn it on, or decrypt it \
         with `openssl pkcs8 -in {} -out NEW`",
        origin.argument()
    )))
}

#[cfg(feature = "encrypted-keys")]
fn open(der: &[u8], password: &str, origin: Origin<'_>) -> Result<PrivateKeyDer<'static>, Error> {
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|error| origin.caused("is damaged: the encrypted key cannot be read", error))?;
    let key = encrypted.decrypt(password).map_err(|error| {
        let wrong = matches!(
            error,
            pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::DecryptFailed)
                | pkcs8::Error::Asn1(_)
                | pkcs8::Error::KeyMalformed(_)
        );
        if wrong {
            return origin.error("the key cannot be decrypted with the password given; is it the right one?");
        }
        let problem = format!(
            "the key is encrypted in a way that is not read (PBES2 is); encrypt it anew with \
             `openssl pkcs8 -topk8 -v2 aes-256-cbc -in {} -out NEW`",
            origin.argument()
        );
        origin.caused(problem, error)
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn not_encrypted(origin: Origin<'_>) -> Error {
    origin.error("the key is not encrypted, but a password was given; leave the password out")
}

fn not_der(bytes: &[u8], what: &str) -> String {
    if bytes.is_empty() {
        format!("is empty; it must hold {what} in DER")
    } else if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
        "is in PEM, not in DER; load it with `Certificate::from_pem_files`".to_owned()
    } else {
        format!("does not hold {what} in DER")
    }
}

/// An encrypted key (PKCS#8) begins with how it is encrypted, a sequence, where every other begins with a number.
fn is_encrypted(der: &[u8]) -> bool {
    let lengths = match der.get(1) {
        Some(octet) if octet & 0x80 != 0 => usize::from(octet & 0x7f),
        _ => 0,
    };
    der.get(2 + lengths) == Some(&0x30)
}

/// Certificates and keys are sequences. (A text may begin with the same octet, `0`.)
fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) && memchr::memmem::find(bytes, b"-----BEGIN ").is_none()
}
