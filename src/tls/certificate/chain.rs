//! From what the files hold to what the handshake sends: the server's own certificate, then its issuers.
//!
//! The server's own certificate is the one with the key's public half, wherever it stands in the
//! file; each next one is the issuer of the one before, and the root is left out, since the client has
//! its own or does not trust it anyway. **Differences from Kestrel**, which takes the first certificate
//! and sends the others as they come.

use std::net::IpAddr;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::nom::Parser;
use x509_parser::prelude::{
    ASN1Time, FromDer, GeneralName, ParsedExtension, SubjectPublicKeyInfo, X509Certificate,
    X509CertificateParser,
};

use super::origin::Origin;
use crate::error::Error;
use crate::telemetry::events;

/// Puts the chain in order, and checks that a server can use it.
pub(super) fn certified_key(
    certificates: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    certificate_origin: Origin<'_>,
    key_origin: Origin<'_>,
) -> Result<CertifiedKey, Error> {
    let key = any_supported_type(key).map_err(|error| {
        let problem = "the private key is damaged, or of a kind that is not supported (RSA of 2048 to 8192 bits, \
             ECDSA with P-256, P-384 or P-521, and Ed25519 are)";
        key_origin.caused(problem, error)
    })?;
    let parsed = certificates.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>();
    let parsed = parsed.map_err(|problem| certificate_origin.error(problem))?;
    let Some(own) = own(&parsed, key.as_ref()) else {
        return Err(certificate_origin.error(format_args!(
            "the private key belongs to another certificate ({key_origin}); the certificate is for {}",
            parsed.first().map(|certificate| certificate.subject().to_string()).unwrap_or_default()
        )));
    };
    check(&parsed[own], certificate_origin)?;

    let order = order(&parsed, own);
    let unrelated =
        (0..parsed.len()).filter(|at| !order.contains(at) && !is_self_issued(&parsed[*at])).count();
    if unrelated > 0 {
        events::certificates_unrelated(&certificate_origin, unrelated);
    }
    Ok(CertifiedKey::new(order.into_iter().map(|at| certificates[at].clone()).collect(), key))
}

/// What an operator wants to see of a certificate.
pub(super) struct Summary {
    pub(super) subject: String,
    pub(super) names: Vec<String>,
    pub(super) not_after: String,
}

pub(super) fn summary(der: &CertificateDer<'_>) -> Option<Summary> {
    let certificate = parse(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().map(text).collect());
    Some(Summary {
        subject: certificate.subject().to_string(),
        names: names.unwrap_or_default(),
        not_after: certificate.validity().not_after.to_string(),
    })
}

fn text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(octets) => match (<[u8; 4]>::try_from(*octets), <[u8; 16]>::try_from(*octets))
        {
            (Ok(v4), _) => IpAddr::from(v4).to_string(),
            (_, Ok(v6)) => IpAddr::from(v6).to_string(),
            _ => name.to_string(),
        },
        name => name.to_string(),
    }
}

/// Whether today is between the two dates of the certificate.
pub(in crate::tls) fn is_current(der: &CertificateDer<'_>) -> bool {
    parse(der).is_ok_and(|certificate| certificate.validity().is_valid())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(true);
    match parser.parse(der.as_ref()) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("is damaged: there is more after the end of a certificate".to_owned()),
        Err(error) => Err(format!("is damaged, or not a certificate: {error}")),
    }
}

/// The certificate whose public key is that of the private key.
fn own(certificates: &[X509Certificate<'_>], key: &dyn SigningKey) -> Option<usize> {
    let public = key.public_key()?;
    let (_, public) = SubjectPublicKeyInfo::from_der(public.as_ref()).ok()?;
    let public = &public.subject_public_key.data;
    certificates.iter().position(|certificate| certificate.public_key().subject_public_key.data == *public)
}

/// Positions in the order to send: the server's own, then each one's issuer, without the root.
fn order(certificates: &[X509Certificate<'_>], own: usize) -> Vec<usize> {
    let mut order = vec![own];
    let mut last = &certificates[own];
    while !is_self_issued(last) {
        // Among several of one name (cross-signed authorities), the first that is not a root.
        let issuer = (0..certificates.len()).find(|at| {
            let candidate = &certificates[*at];
            !order.contains(at) && !is_self_issued(candidate) && issued(candidate, last)
        });
        let Some(issuer) = issuer else { break };
        order.push(issuer);
        last = &certificates[issuer];
    }
    order
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

fn issued(issuer: &X509Certificate<'_>, certificate: &X509Certificate<'_>) -> bool {
    if issuer.subject().as_raw() != certificate.issuer().as_raw() {
        return false;
    }
    let subject = issuer.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    });
    let authority = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    });
    // RFC 5280 §4.2.1.1: the identifier tells apart the keys of one name. Where one is absent, the name decides.
    subject.is_none() || authority.is_none() || subject == authority
}

/// What makes a certificate useless is an error where no client would go on, and an event where one may.
fn check(certificate: &X509Certificate<'_>, origin: Origin<'_>) -> Result<(), Error> {
    let subject = certificate.subject();
    match certificate.extended_key_usage() {
        Ok(Some(usage)) if !usage.value.server_auth => {
            return Err(origin.error(format_args!(
                "the certificate for {subject} is not for servers: its extended key usage lacks server \
                 authentication (1.3.6.1.5.5.7.3.1); ask its issuer for a server certificate"
            )));
        }
        Ok(_) => {}
        Err(error) => return Err(origin.error(format_args!("is damaged: extended key usage: {error}"))),
    }
    if !matches!(certificate.subject_alternative_name(), Ok(Some(names)) if !names.value.general_names.is_empty())
    {
        events::certificate_without_names(&origin, subject);
    }
    let (now, validity) = (ASN1Time::now(), certificate.validity());
    if now > validity.not_after {
        events::certificate_expired(&origin, subject, &validity.not_after);
    } else if now < validity.not_before {
        events::certificate_not_yet_valid(&origin, subject, &validity.not_before);
    }
    Ok(())
}
