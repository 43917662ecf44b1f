//! A certificate for the servers.

use super::Result;

/// In PEM: a certificate with an ECDSA key, and the key.
pub(crate) fn certificate() -> Result<(String, String)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}
