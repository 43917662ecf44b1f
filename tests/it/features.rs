//! What a build leaves out says which cargo feature brings it.

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn tls_is_named() {
    let endpoint = kestrel_rs::Endpoint::parse("https://127.0.0.1:0").unwrap();
    let error = kestrel_rs::KestrelListener::builder().endpoint(endpoint).bind().await.unwrap_err();
    assert!(error.to_string().contains("cargo feature `tls`"), "{error}");
}

#[cfg(all(feature = "tls", not(feature = "pfx")))]
#[test]
fn pfx_is_named() {
    let error = kestrel_rs::Certificate::from_pfx(b"\x30\x00", "secret").unwrap_err();
    assert!(error.is_certificate() && error.to_string().contains("cargo feature `pfx`"), "{error}");
}

#[cfg(all(feature = "tls", not(feature = "encrypted-keys")))]
#[test]
fn encrypted_keys_are_named() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/facts/certs");
    let (certificate, key) = (folder.join("rsa.pem"), folder.join("rsa.encrypted.key"));
    let error = kestrel_rs::Certificate::from_encrypted_pem_files(&certificate, &key, "secret").unwrap_err();
    assert!(error.to_string().contains("cargo feature `encrypted-keys`"), "{error}");
    let error = kestrel_rs::Certificate::from_pem_files(&certificate, &key).unwrap_err();
    assert!(error.to_string().contains("no password was given"), "{error}");
}

#[cfg(not(feature = "idn"))]
#[test]
fn idn_is_named() {
    let error = kestrel_rs::request::AllowedHosts::new(["b\u{fc}cher.example"]).unwrap_err();
    assert!(error.to_string().contains("cargo feature `idn`"), "{error}");
    assert!(kestrel_rs::request::AllowedHosts::new(["xn--bcher-kva.example"]).is_ok());
}
