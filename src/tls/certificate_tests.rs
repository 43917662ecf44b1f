//! What a handshake would send, for the recorded files and for generated ones.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::SignatureAlgorithm;
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::tls::test_log::Log;

fn fact(name: &str) -> PathBuf {
    Path::new("tests/reference/facts/certs").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(fact(name)).unwrap()
}

fn der(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fact(name)).unwrap()
}

fn sent(certificate: &Certificate) -> Vec<CertificateDer<'static>> {
    certificate.current().cert.clone()
}

#[cfg(feature = "pfx")]
#[test]
fn a_chain_is_sent_in_order_and_without_its_root() {
    let whole = vec![der("leaf.pem"), der("intermediate.pem")];
    for file in ["chain.pem", "chain.full.pem", "chain.reversed.pem"] {
        let certificate = Certificate::from_pem_files(fact(file), fact("leaf.key")).unwrap();
        assert_eq!(sent(&certificate), whole, "{file}");
    }
    let certificate = Certificate::from_pfx_file(fact("chain.pfx"), "secret").unwrap();
    assert_eq!(sent(&certificate), whole);
    let certificate = Certificate::from_pem_files(fact("leaf.pem"), fact("leaf.key")).unwrap();
    assert_eq!(sent(&certificate), [der("leaf.pem")]);
}

#[test]
fn what_is_no_issuer_is_not_sent() {
    let pem = [bytes("a.pem"), bytes("leaf.pem"), bytes("client.pem"), bytes("leaf.pem")].concat();
    let certificate = Certificate::from_pem(pem, bytes("leaf.key")).unwrap();
    assert_eq!(sent(&certificate), [der("leaf.pem")]);
}

#[test]
fn every_recorded_pair_loads() {
    for (certificate, key) in [
        ("rsa.pem", "rsa.key"),
        ("rsa.pem", "rsa.pkcs1.key"),
        ("rsa.pem", "rsa.der.key"),
        ("rsa.cer", "rsa.key"),
        ("rsa.both.pem", "rsa.both.pem"),
        ("rsa.both.key-first.pem", "rsa.both.key-first.pem"),
        ("rsa.both.encrypted.pem", "rsa.key"),
    ] {
        let loaded = Certificate::from_pem_files(fact(certificate), fact(key)).unwrap();
        assert_eq!(sent(&loaded), [der("rsa.pem")], "{certificate} {key}");
        assert_eq!(loaded.current().key.algorithm(), SignatureAlgorithm::RSA);
    }
    for (certificate, key) in [
        ("ecdsa.pem", "ecdsa.key"),
        ("ecdsa.pem", "ecdsa.sec1.key"),
        ("ecdsa.bom.pem", "ecdsa.key"),
        ("ecdsa.crlf.pem", "ecdsa.key"),
        ("ecdsa.text.pem", "ecdsa.key"),
    ] {
        let loaded = Certificate::from_pem_files(fact(certificate), fact(key)).unwrap();
        assert_eq!(sent(&loaded), [der("ecdsa.pem")], "{certificate} {key}");
        assert_eq!(loaded.current().key.algorithm(), SignatureAlgorithm::ECDSA);
    }
    for name in ["p384", "ed25519", "no-eku", "both-eku", "no-san", "expired", "future", "dev", "wildcard"] {
        let pem = format!("{name}.pem");
        let loaded = Certificate::from_pem_files(fact(&pem), fact(&format!("{name}.key"))).unwrap();
        assert_eq!(sent(&loaded), [der(&pem)], "{name}");
    }
}

#[cfg(feature = "pfx")]
#[test]
fn every_recorded_pfx_file_opens() {
    for (file, password, certificate) in [
        ("rsa.pfx", "secret", "rsa.pem"),
        ("rsa.old.pfx", "secret", "rsa.pem"),
        ("rsa.empty.pfx", "", "rsa.pem"),
        ("rsa.open.pfx", "", "rsa.pem"),
        ("ecdsa.pfx", "secret", "ecdsa.pem"),
        ("expired.pfx", "secret", "expired.pem"),
    ] {
        let loaded = Certificate::from_pfx_file(fact(file), password).unwrap();
        assert_eq!(sent(&loaded), [der(certificate)], "{file}");
        let loaded = Certificate::from_pfx(bytes(file), password).unwrap();
        assert_eq!(sent(&loaded), [der(certificate)], "{file}");
    }
}

#[cfg(feature = "encrypted-keys")]
#[test]
fn encrypted_keys_open_with_their_password() {
    for (certificate, key) in [
        ("rsa.pem", "rsa.encrypted.key"),
        ("ecdsa.pem", "ecdsa.encrypted.key"),
        ("rsa.both.encrypted.pem", "rsa.both.encrypted.pem"),
    ] {
        let loaded = Certificate::from_encrypted_pem_files(fact(certificate), fact(key), "secret").unwrap();
        assert_eq!(loaded.current().cert.len(), 1, "{key}");
    }
}

#[test]
fn der_comes_from_files_and_from_memory() {
    let loaded = Certificate::from_der_files(fact("rsa.cer"), fact("rsa.der.key")).unwrap();
    assert_eq!(sent(&loaded), [der("rsa.pem")]);
    let key = KeyPair::from_pem(&fs::read_to_string(fact("leaf.key")).unwrap()).unwrap();
    let chain = [der("intermediate.pem"), der("leaf.pem"), der("ca.pem")];
    let loaded = Certificate::from_der(chain, key.serialize_der()).unwrap();
    assert_eq!(sent(&loaded), [der("leaf.pem"), der("intermediate.pem")]);
}

/// Two authorities of one name: the key identifier says which of them signed.
#[test]
fn among_issuers_of_one_name_the_one_with_the_right_key_is_sent() {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = Issuer::new(root, root_key);
    let authority = || {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Twin");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.signed_by(&key, &root).unwrap();
        (certificate, Issuer::new(params, key))
    };
    let (wrong, _) = authority();
    let (right, issuer) = authority();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["site.test".to_owned()]).unwrap();
    params.use_authority_key_identifier_extension = true;
    let own = params.signed_by(&key, &issuer).unwrap();
    let pem = [wrong.pem(), right.pem(), own.pem()].concat();
    let loaded = Certificate::from_pem(pem, key.serialize_pem()).unwrap();
    assert_eq!(sent(&loaded), [own.der().clone(), right.der().clone()]);
}

#[cfg(feature = "pfx")]
#[test]
fn the_key_is_not_in_the_debug_text() {
    let loaded = Certificate::from_pfx_file(fact("rsa.pfx"), "secret").unwrap();
    let text = format!("{loaded:?}");
    assert!(
        text.contains("CN=rsa.test") && text.contains("\"localhost\"") && text.contains("rsa.pfx"),
        "{text}"
    );
    assert!(!text.contains("secret") && !text.to_lowercase().contains("key"), "{text}");
}

#[test]
fn what_clients_may_refuse_is_a_warning_and_no_error() {
    for (name, warning) in [
        ("expired", Some("has expired")),
        ("future", Some("not valid yet")),
        ("no-san", Some("no subject alternative name")),
        ("rsa", None),
        ("no-eku", None),
    ] {
        let log = Log::default();
        let _log = tracing::subscriber::set_default(log.clone());
        let file = format!("{name}.pem");
        Certificate::from_pem_files(fact(&file), fact(&format!("{name}.key"))).unwrap();
        let warnings = log.warnings();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{warnings:?}");
        for text in [warning, warning.map(|_| file.as_str())].into_iter().flatten() {
            assert!(warnings[0].contains(text), "{warnings:?}");
        }
    }
}
