//! Certificates from files: what is wrong is said with the name of the file and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use kestrel_rs::{Certificate, Error};

fn fact(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/facts/certs").join(name)
}

fn pem(certificate: &str, key: &str) -> Result<Certificate, Error> {
    Certificate::from_pem_files(fact(certificate), fact(key))
}

/// The error is of the right kind and says all of `parts`, in its whole text.
#[track_caller]
fn refused(result: Result<Certificate, Error>, parts: &[&str]) {
    let error = result.unwrap_err();
    assert!(error.is_certificate(), "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "'{part}' is not in: {error:?}");
    }
}

#[test]
fn a_missing_file_is_named() {
    refused(
        pem("none.pem", "rsa.key"),
        &[fact("none.pem").to_str().unwrap(), "does not exist", "absolute path"],
    );
    refused(pem("rsa.pem", "none.key"), &[fact("none.key").to_str().unwrap(), "does not exist"]);
    refused(Certificate::from_pfx_file(fact("none/x.pfx"), ""), &["none/x.pfx", "does not exist"]);
    refused(pem("", "rsa.key"), &["is a folder"]);
    // A relative path is told with the folder in which it was looked for.
    let error = Certificate::from_pem_files("none.pem", "none.key").unwrap_err().to_string();
    assert!(error.contains(std::env::current_dir().unwrap().join("none.pem").to_str().unwrap()), "{error}");
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let path = std::env::temp_dir().join(format!("kestrel-rs-it-{}-closed.key", std::process::id()));
    fs::write(&path, fs::read(fact("rsa.key")).unwrap()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let open_to_all = fs::read(&path).is_ok();
    let result = Certificate::from_pem_files(fact("rsa.pem"), &path);
    fs::remove_file(&path).unwrap();
    // Root may read everything.
    if !open_to_all {
        refused(result, &["closed.key", "may not be read", "mode"]);
    }
}

#[test]
fn a_file_without_a_certificate_is_named() {
    refused(pem("empty.pem", "rsa.key"), &["empty.pem", "is empty"]);
    refused(pem("text.pem", "rsa.key"), &["text.pem", "holds no certificate", "BEGIN CERTIFICATE"]);
    refused(pem("rsa.key", "rsa.pem"), &["rsa.key", "holds a private key and no certificate", "swapped"]);
    refused(pem("rsa.public.pem", "rsa.key"), &["rsa.public.pem", "holds no certificate"]);
    refused(pem("rsa.pfx", "rsa.key"), &["rsa.pfx", "from_pfx_file"]);
}

#[test]
fn a_file_without_a_key_is_named() {
    refused(pem("rsa.pem", "empty.pem"), &["empty.pem", "is empty"]);
    refused(pem("rsa.pem", "text.pem"), &["text.pem", "holds no private key", "BEGIN PRIVATE KEY"]);
    refused(pem("rsa.pem", "rsa.pem"), &["rsa.pem", "holds no private key, but a CERTIFICATE"]);
    refused(pem("rsa.pem", "rsa.public.pem"), &["rsa.public.pem", "holds no private key, but a PUBLIC KEY"]);
    refused(Certificate::from_pem_file(fact("rsa.pem")), &["rsa.pem", "holds no private key"]);
    refused(
        Certificate::from_pfx_file(fact("rsa.no-key.pfx"), "secret"),
        &["rsa.no-key.pfx", "no private key", "openssl pkcs12"],
    );
}

#[test]
fn a_damaged_file_is_named() {
    refused(pem("broken.pem", "rsa.key"), &["broken.pem", "damaged"]);
    refused(pem("rsa.pem", "broken.key"), &["broken.key", "damaged"]);
    refused(Certificate::from_pfx_file(fact("broken.pfx"), "secret"), &["broken.pfx", "damaged"]);
    refused(Certificate::from_pfx_file(fact("empty.pem"), ""), &["empty.pem", "is empty"]);
    refused(Certificate::from_pfx_file(fact("rsa.both.pem"), ""), &["rsa.both.pem", "from_pem_files"]);
    let cer = fs::read(fact("rsa.cer")).unwrap();
    let key = fs::read(fact("rsa.der.key")).unwrap();
    refused(Certificate::from_der([&cer[..100]], &key), &["certificate given in memory", "damaged"]);
    refused(Certificate::from_der([[&cer[..], b"x"].concat()], &key), &["more after the end"]);
    refused(Certificate::from_der([&cer], &key[..100]), &["private key given in memory"]);
    refused(Certificate::from_der([&cer[..0]], &key), &["is empty"]);
    let half = fs::read(fact("rsa.pem")).unwrap();
    refused(Certificate::from_pem(&half[..400], ""), &["damaged"]);
}

#[test]
fn der_and_pem_are_told_apart() {
    refused(
        Certificate::from_der_files(fact("rsa.pem"), fact("rsa.der.key")),
        &["rsa.pem", "PEM", "from_pem_files"],
    );
    refused(Certificate::from_der_files(fact("rsa.cer"), fact("rsa.key")), &["rsa.key", "PEM"]);
    refused(Certificate::from_der_files(fact("text.pem"), fact("rsa.der.key")), &["text.pem", "DER"]);
}

#[test]
fn a_password_that_is_wrong_missing_or_too_much_is_said() {
    let encrypted =
        |key, password| Certificate::from_encrypted_pem_files(fact("rsa.pem"), fact(key), password);
    refused(encrypted("rsa.encrypted.key", "wrong"), &["rsa.encrypted.key", "password"]);
    refused(encrypted("rsa.encrypted.key", ""), &["rsa.encrypted.key", "password"]);
    refused(
        pem("rsa.pem", "rsa.encrypted.key"),
        &["rsa.encrypted.key", "no password was given", "from_encrypted_pem_files"],
    );
    refused(Certificate::from_pem_file(fact("rsa.both.encrypted.pem")), &["no password was given"]);
    refused(encrypted("rsa.key", "secret"), &["rsa.key", "not encrypted", "leave the password out"]);
    refused(encrypted("rsa.key", ""), &["rsa.key", "not encrypted"]);
    for (file, password) in [("rsa.pfx", "wrong"), ("rsa.old.pfx", "wrong"), ("rsa.empty.pfx", "secret")] {
        refused(Certificate::from_pfx_file(fact(file), password), &[file, "right one"]);
    }
    refused(Certificate::from_pfx_file(fact("rsa.pfx"), ""), &["rsa.pfx", "give its password"]);
}

#[test]
fn no_error_holds_a_password() {
    for result in [
        Certificate::from_pfx_file(fact("rsa.pfx"), "hunter2"),
        Certificate::from_encrypted_pem_files(fact("rsa.pem"), fact("rsa.encrypted.key"), "hunter2"),
        Certificate::from_encrypted_pem_files(fact("rsa.pem"), fact("rsa.key"), "hunter2"),
    ] {
        let error = result.unwrap_err();
        assert!(!format!("{error:?}{error}").contains("hunter2"));
    }
}

#[test]
fn the_old_encryption_of_openssl_is_refused_with_a_way_out() {
    let file = "rsa.pkcs1.encrypted.key";
    for result in
        [pem("rsa.pem", file), Certificate::from_encrypted_pem_files(fact("rsa.pem"), fact(file), "secret")]
    {
        refused(result, &[file, "openssl pkcs8 -topk8 -in"]);
    }
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    for (certificate, key) in [
        ("rsa.pem", "dev.key"),
        ("rsa.pem", "ecdsa.key"),
        ("ecdsa.pem", "rsa.key"),
        ("a.pem", "b.key"),
        ("chain.pem", "ca.key"),
        ("ed25519.pem", "p384.key"),
    ] {
        refused(pem(certificate, key), &[certificate, key, "belongs to another certificate"]);
    }
}

#[test]
fn a_certificate_that_is_not_for_servers_is_refused() {
    refused(
        pem("client-eku.pem", "client-eku.key"),
        &["client-eku.pem", "not for servers", "1.3.6.1.5.5.7.3.1", "CN=client-eku.test"],
    );
}

#[test]
fn generated_certificates_load_from_memory() {
    let made = rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    let certificate = Certificate::from_pem(made.cert.pem(), made.signing_key.serialize_pem()).unwrap();
    assert!(format!("{certificate:?}").contains("example.org"));
    Certificate::from_der([made.cert.der()], made.signing_key.serialize_der()).unwrap();
}
