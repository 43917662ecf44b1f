//! What an error says, and what it leaves to its source.

use std::error::Error as StdError;
use std::io;
use std::os::fd::OwnedFd;

use kestrel_rs::{Endpoint, Error, KestrelListener, Limits};

async fn bind(endpoint: Endpoint) -> Result<KestrelListener, Error> {
    KestrelListener::builder().endpoint(endpoint).bind().await
}

/// An error of each kind of cause: an address, an option, the system, a certificate.
async fn provoked() -> Vec<Error> {
    let taken = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
    let in_use = taken.addresses()[0].to_string();
    let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let bad = Limits::default().max_request_line_size(0);
    let mut errors = of_tls().await;
    errors.extend([
        Endpoint::parse("http://localhost:abc").unwrap_err(),
        bad.check().unwrap_err(),
        bind(Endpoint::any_ip(0).limits(bad.clone())).await.unwrap_err(),
        KestrelListener::builder().limits(bad).bind().await.unwrap_err(),
        KestrelListener::bind(&in_use).await.unwrap_err(),
        bind(Endpoint::ip(([192, 0, 2, 1], 0))).await.unwrap_err(),
        bind(Endpoint::unix("/no/such/folder/x.sock")).await.unwrap_err(),
        bind(Endpoint::unix("/dev/null")).await.unwrap_err(),
        bind(Endpoint::unix("/nul\0")).await.unwrap_err(),
        bind(Endpoint::descriptor(null())).await.unwrap_err(),
        std::thread::spawn(move || taken.into_axum().unwrap_err()).join().unwrap(),
    ]);
    errors
}

#[cfg(feature = "tls")]
async fn of_tls() -> Vec<Error> {
    use kestrel_rs::tls::ClientTrust;
    use kestrel_rs::{Certificate, TlsOptions};

    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    vec![
        Certificate::from_pem_files("/no/such.pem", "/no/such.key").unwrap_err(),
        Certificate::from_pem_files(manifest, manifest).unwrap_err(),
        Certificate::from_pfx(b"no PFX", "").unwrap_err(),
        ClientTrust::from_pem_file("/no/such.pem").unwrap_err(),
        ClientTrust::from_pem_file(manifest).unwrap_err(),
        ClientTrust::from_der([b"no certificate"]).unwrap_err(),
        bind(Endpoint::any_ip(0).tls(TlsOptions::for_server_names())).await.unwrap_err(),
    ]
}

#[cfg(not(feature = "tls"))]
async fn of_tls() -> Vec<Error> {
    Vec::new()
}

#[tokio::test]
async fn no_source_repeats_what_was_said() {
    let mut with_source = 0;
    for error in provoked().await {
        let whole = format!("{error:?}");
        let mut said = error.to_string();
        let mut next = error.source();
        with_source += usize::from(next.is_some());
        while let Some(source) = next {
            let text = source.to_string();
            assert!(!said.contains(&text), "{text:?} stands twice in {whole:?}");
            said = format!("{said}: {text}");
            next = source.source();
        }
        assert_eq!(whole, said, "`{{:?}}` is everything");
    }
    assert!(with_source > 5, "{with_source}");
}

/// So that a new one comes to the test above.
#[test]
fn two_types_of_error_have_a_source() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut folders = vec![std::path::PathBuf::from(source)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().contains("fn source(&self) -> Option<&(dyn ") {
                found.push(path.strip_prefix(source).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    // The other is `StreamReset`, a word for hyper.
    assert_eq!(found, ["error.rs", "request/reset.rs"]);
}

#[tokio::test]
async fn an_io_error_has_the_kind_that_the_system_gave() {
    async fn listen(address: &str) -> io::Result<KestrelListener> {
        Ok(KestrelListener::bind(address).await?)
    }
    let listener = listen("http://127.0.0.1:0").await.unwrap();
    let address = listener.addresses()[0].to_string();
    for (address, kind) in [
        (address.as_str(), io::ErrorKind::AddrInUse),
        ("http://unix:/no/such/folder/x.sock", io::ErrorKind::NotFound),
        ("http://localhost:abc", io::ErrorKind::InvalidInput),
    ] {
        let error = listen(address).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(address), "{error}");
        assert!(error.get_ref().unwrap().is::<Error>());
    }
}
