//! The development certificate where none is given. Each test runs in a process of its own, whose
//! user has a data folder of its own.

use std::fs;
use std::future::IntoFuture;
use std::path::Path;

use kestrel_rs::tls::create_development_certificate;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::{Events, really_soon};

/// Runs the ignored test `name` as a user whose data is in a new folder.
fn in_child(name: &str) {
    let data = std::env::temp_dir().join(format!("kestrel-rs-data-{}-{name}", std::process::id()));
    fs::create_dir_all(&data).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("tls::development::{name}"), "--ignored", "--nocapture"])
        .env("XDG_DATA_HOME", &data)
        .env("KESTREL_RS_CHILD", "1")
        .output();
    let _ = fs::remove_dir_all(&data);
    let output = output.unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Whether this is the child: nobody's real data is touched.
fn is_child() -> bool {
    std::env::var_os("KESTREL_RS_CHILD").is_some()
}

/// Who trusts this certificate and no other.
fn trusting(certificate: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    TlsConnector::from(Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth()))
}

async fn fetch(connector: &TlsConnector, address: std::net::SocketAddr) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    crate::support::answer(&mut stream).await.body
}

#[test]
fn an_https_endpoint_without_tls_uses_it_or_says_how_to_make_it() {
    in_child("child_binds_https");
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn child_binds_https() {
    if !is_child() {
        return;
    }
    let bind = async || KestrelListener::bind("https://127.0.0.1:0").await;
    let error = bind().await.unwrap_err();
    let text = error.to_string();
    assert!(error.is_option() && text.starts_with("https://127.0.0.1:0: "), "{text}");
    assert!(text.contains(".tls(") && text.contains("create_development_certificate"), "{text}");

    let made = create_development_certificate().unwrap();
    assert!(made.certificate_path().starts_with(std::env::var_os("XDG_DATA_HOME").unwrap()));
    let listener = bind().await.unwrap();
    let address = listener.local_addrs()[0].socket_addr().unwrap();
    tokio::spawn(kestrel_rs::serve(app()).listener(listener).into_future());
    assert_eq!(fetch(&trusting(made.certificate_path()), address).await, "TLS 1.3 localhost - 0");
}

#[test]
fn a_server_without_a_listener_serves_https_if_there_is_one() {
    in_child("child_serves_localhost");
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn child_serves_localhost() {
    if !is_child() {
        return;
    }
    if ["127.0.0.1:5000", "127.0.0.1:5001"].map(std::net::TcpListener::bind).iter().any(Result::is_err) {
        eprintln!("skipped: somebody listens on 5000 or 5001");
        return;
    }
    let http = std::net::SocketAddr::from(([127, 0, 0, 1], 5000));
    let https = std::net::SocketAddr::from(([127, 0, 0, 1], 5001));
    let events = Events::record();
    // Serves for as long as it takes to look; gives what was logged.
    let serve = async |look: &dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>| {
        let stop = CancellationToken::new();
        let app = Router::new().route("/", get(async || "hello"));
        let server = kestrel_rs::serve(app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(server.into_future());
        really_soon(async {
            while TcpStream::connect(http).await.is_err() {
                assert!(!server.is_finished(), "it does not serve");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            look().await;
        })
        .await;
        stop.cancel();
        server.await.unwrap().unwrap();
        let logged = events.take().into_iter().filter(|(level, _)| *level <= tracing::Level::INFO);
        logged.map(|(level, text)| format!("{level} {text}")).collect::<Vec<_>>().join("\n")
    };
    let only_http = || Box::pin(async move { assert!(TcpStream::connect(https).await.is_err()) }) as _;

    let log = serve(&only_http).await;
    assert!(log.contains("now listening on http://localhost:5000") && !log.contains("https"), "{log}");

    let made = create_development_certificate().unwrap();
    let connector = trusting(made.certificate_path());
    let both = || {
        let connector = connector.clone();
        Box::pin(async move { assert_eq!(fetch(&connector, https).await, "hello") }) as _
    };
    let log = serve(&both).await;
    assert!(log.contains("now listening on https://localhost:5001"), "{log}");
    assert!(log.contains("now listening on http://localhost:5000"), "{log}");

    fs::write(made.certificate_path(), "half").unwrap();
    let log = serve(&only_http).await;
    assert!(log.contains("WARN") && log.contains("create_development_certificate"), "{log}");
    assert!(log.contains("now listening on http://localhost:5000"), "{log}");
}
