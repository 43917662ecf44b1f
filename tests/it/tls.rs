//! TLS: real handshakes with rustls as the client, mostly in memory.

use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use kestrel_rs::connection::{self, Connection, Next};
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::tls::{ClientHello, ClientTrust, ServerName, TlsVersion};
use kestrel_rs::{
    Certificate, ClientCertificates, ConnectionInfo, Endpoint, KestrelListener, Protocols, TlsInfo,
    TlsOptions,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

mod custom;
#[cfg(feature = "dev-certificate")]
mod development;
#[cfg(feature = "idn")]
mod misdirected;
mod reload;
mod requests;

/// An authority for servers and clients, with a scratch folder that is gone when it is dropped.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("kestrel-rs-tls-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(folder.join("ca.pem"), certificate.pem()).unwrap();
        Self { issuer: Issuer::new(parameters, key), certificate, folder }
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![usage];
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn server(&self, name: &str) -> Certificate {
        let (certificate, key) = self.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
        let file = |end: &str| self.folder.join(format!("{}.{end}", name.replace('*', "_")));
        std::fs::write(file("pem"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        Certificate::from_pem_files(file("pem"), file("key")).unwrap()
    }

    fn options(&self) -> TlsOptions {
        TlsOptions::new(self.server("localhost"))
    }

    fn trust(&self) -> ClientTrust {
        ClientTrust::from_pem_file(self.folder.join("ca.pem")).unwrap()
    }

    fn client(&self) -> Client<'_> {
        Client { trusts: self, certificate: None, versions: rustls::ALL_VERSIONS, alpn: &[] }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Client<'a> {
    trusts: &'a Authority,
    certificate: Option<(rcgen::Certificate, KeyPair)>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    alpn: &'static [&'static str],
}

static ONLY_TLS12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

impl Client<'_> {
    fn with_certificate(mut self, by: &Authority) -> Self {
        self.certificate = Some(by.issue("client", ExtendedKeyUsagePurpose::ClientAuth));
        self
    }

    fn tls12(mut self) -> Self {
        self.versions = ONLY_TLS12;
        self
    }

    fn alpn(mut self, names: &'static [&'static str]) -> Self {
        self.alpn = names;
        self
    }

    fn config(self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                let chain = vec![CertificateDer::from(certificate.der().to_vec())];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

type Stream = TlsStream<TestConnection>;

async fn connect(server: &TestServer, config: &Arc<ClientConfig>, name: &str) -> io::Result<Stream> {
    let stream = server.connect().await?;
    TlsConnector::from(config.clone()).connect(name.to_owned().try_into().unwrap(), stream).await
}

/// What the server says to a GET, up to its end of the connection, which must be announced.
async fn answer(stream: &mut Stream, target: &str) -> io::Result<String> {
    answer_for(stream, "localhost", target).await
}

async fn answer_for(stream: &mut Stream, host: &str, target: &str) -> io::Result<String> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The body of the answer to a GET on a connection of its own.
async fn fetch(server: &TestServer, config: &Arc<ClientConfig>, name: &str) -> io::Result<String> {
    let mut stream = connect(server, config, name).await?;
    let answer = answer_for(&mut stream, name, "/").await?;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    Ok(answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The alert with which the server refused.
fn alert(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Says what the handler sees.
fn app() -> Router {
    async fn seen(connection: ConnectionInfo, tls: TlsInfo) -> String {
        assert!(connection.is_https());
        let alpn = String::from_utf8_lossy(tls.alpn().unwrap_or(b"-")).into_owned();
        let name = tls.server_name().unwrap_or("-");
        format!("{} {name} {alpn} {}", tls.version(), tls.peer_certificates().len())
    }
    Router::new().route("/", get(seen))
}

fn server(options: TlsOptions) -> TestServer {
    TestServer::builder(app()).tls(options).start()
}

#[tokio::test]
async fn a_handler_sees_what_was_agreed_on() {
    let authority = Authority::new();
    let server = server(authority.options());
    let client = authority.client().config();
    assert_eq!(fetch(&server, &client, "LocalHost").await.unwrap(), "TLS 1.3 localhost - 0");
    let client = authority.client().tls12().alpn(&["http/1.1"]).config();
    assert_eq!(fetch(&server, &client, "localhost").await.unwrap(), "TLS 1.2 localhost http/1.1 0");
}

#[tokio::test]
async fn without_tls_there_is_nothing_to_see() {
    let server =
        TestServer::new(app().route("/maybe", get(async |tls: Option<TlsInfo>| tls.is_some().to_string())));
    assert_eq!(server.get("/").await.unwrap().status(), 500);
    assert_eq!(server.get("/maybe").await.unwrap().body(), "false");
}

#[tokio::test]
async fn versions_and_cipher_suites_are_those_that_are_set() {
    let authority = Authority::new();
    let only_13 = server(authority.options().versions([TlsVersion::Tls13]));
    let error = fetch(&only_13, &authority.client().tls12().config(), "localhost").await.unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::ProtocolVersion));

    let options = authority.options().cipher_suites(["TLS_CHACHA20_POLY1305_SHA256"]);
    let server = server(options);
    let stream = connect(&server, &authority.client().config(), "localhost").await.unwrap();
    let suite = stream.get_ref().1.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);

    let error = authority.options().cipher_suites(["TLS_NONE"]).check().unwrap_err();
    assert!(error.is_option() && error.to_string().contains("TLS_AES_128_GCM_SHA256"), "{error}");
}

#[tokio::test]
async fn a_session_is_resumed_unless_that_is_off() {
    let authority = Authority::new();
    for (options, expected) in [
        (authority.options(), HandshakeKind::Resumed),
        (authority.options().without_resumption(), HandshakeKind::Full),
    ] {
        for client in [authority.client(), authority.client().tls12()] {
            let (server, client) = (server(options.clone()), client.config());
            fetch(&server, &client, "localhost").await.unwrap();
            let mut stream = connect(&server, &client, "localhost").await.unwrap();
            answer(&mut stream, "/").await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
        }
    }
}

#[tokio::test]
async fn a_session_is_not_resumed_under_other_rules_for_client_certificates() {
    let authority = Authority::new();
    let lax = authority.options().client_certificates(ClientCertificates::Allow);
    let lax = lax.client_trust(ClientTrust::danger_accept_any());
    let strict = lax.clone().client_certificates(ClientCertificates::Require).client_trust(authority.trust());
    let open = lax.clone().client_certificates(ClientCertificates::Ignore);
    let stranger = Authority::new();
    for (first, certificate) in [(lax, Some(&stranger)), (open, None)] {
        for tls12 in [false, true] {
            let client = authority.client();
            let client = if tls12 { client.tls12() } else { client };
            let client = match certificate {
                Some(by) => client.with_certificate(by).config(),
                None => client.config(),
            };
            let (first, second) = (server(first.clone()), server(strict.clone()));
            fetch(&first, &client, "localhost").await.unwrap();
            fetch(&second, &client, "localhost").await.unwrap_err();
        }
    }
}

/// Remembers sessions without their names, as a client would that tries what it can get.
#[derive(Debug)]
struct Forgetful(ClientSessionMemoryCache);

impl Forgetful {
    fn name() -> rustls::pki_types::ServerName<'static> {
        "any".try_into().unwrap()
    }
}

impl ClientSessionStore for Forgetful {
    fn set_kx_hint(&self, _: rustls::pki_types::ServerName<'static>, group: rustls::NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }

    fn kx_hint(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<rustls::NamedGroup> {
        self.0.kx_hint(&Self::name())
    }

    fn set_tls12_session(&self, _: rustls::pki_types::ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::name(), value);
    }

    fn tls12_session(&self, _: &rustls::pki_types::ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }

    fn remove_tls12_session(&self, _: &rustls::pki_types::ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }

    fn insert_tls13_ticket(&self, _: rustls::pki_types::ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::name(), value);
    }

    fn take_tls13_ticket(
        &self,
        _: &rustls::pki_types::ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}

#[tokio::test]
async fn a_session_is_not_resumed_under_another_name() {
    let authority = Authority::new();
    let options = authority.options().server_name("lax.test", authority.server("lax.test")).server_name(
        "strict.test",
        ServerName::from(authority.server("strict.test"))
            .client_certificates(ClientCertificates::Require)
            .client_trust(authority.trust()),
    );
    let server = server(options);
    for client in [authority.client(), authority.client().tls12()] {
        let mut config = ClientConfig::clone(&client.config());
        config.resumption = Resumption::store(Arc::new(Forgetful(ClientSessionMemoryCache::new(8))));
        let client = Arc::new(config);
        fetch(&server, &client, "lax.test").await.unwrap();
        let mut again = connect(&server, &client, "lax.test").await.unwrap();
        answer(&mut again, "/").await.unwrap();
        assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        fetch(&server, &client, "strict.test").await.unwrap_err();
        fetch(&server, &client, "lax.test").await.unwrap();
        let mut other = connect(&server, &client, "localhost").await.unwrap();
        answer(&mut other, "/").await.unwrap();
        assert_eq!(other.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[tokio::test]
async fn the_certificate_of_a_resumed_session_is_verified_again() {
    let authority = Authority::new();
    for client in [authority.client(), authority.client().tls12()] {
        let calls = Arc::new(AtomicUsize::new(0));
        let trust = authority.trust().also({
            let calls = Arc::clone(&calls);
            move |_| {
                if calls.fetch_add(1, Ordering::SeqCst) < 2 { Ok(()) } else { Err("not any more".into()) }
            }
        });
        let options =
            authority.options().client_certificates(ClientCertificates::Require).client_trust(trust);
        let (server, client) = (server(options), client.with_certificate(&authority).config());
        fetch(&server, &client, "localhost").await.unwrap();
        let mut resumed = connect(&server, &client, "localhost").await.unwrap();
        assert!(answer(&mut resumed, "/").await.unwrap().ends_with(" 1"));
        assert_eq!(resumed.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        let mut refused = connect(&server, &client, "localhost").await.unwrap();
        assert!(!answer(&mut refused, "/").await.is_ok_and(|answer| answer.contains("200")));
    }
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_verified() {
    use ClientCertificates::{Allow, Ignore, Require};
    let authority = Authority::new();
    let stranger = Authority::new();
    let options = |mode| authority.options().client_certificates(mode).client_trust(authority.trust());
    let nobody = || authority.client();
    let ours = || authority.client().with_certificate(&authority);
    let theirs = || authority.client().with_certificate(&stranger);
    let any = || options(Require).client_trust(ClientTrust::danger_accept_any());
    let checked = |good: bool| {
        let trust = authority.trust().also(move |chain| {
            assert_eq!(chain.len(), 1);
            if good { Ok(()) } else { Err("not today".into()) }
        });
        options(Allow).client_trust(trust)
    };
    for (options, client, certificates) in [
        (options(Ignore), nobody(), Some(0)),
        (options(Ignore), ours(), Some(0)),
        (options(Allow), nobody(), Some(0)),
        (options(Allow), ours(), Some(1)),
        (options(Allow), theirs(), None),
        (options(Require), nobody(), None),
        (options(Require), ours(), Some(1)),
        (options(Require), theirs(), None),
        (any(), nobody(), None),
        (any(), theirs(), Some(1)),
        (checked(true), ours(), Some(1)),
        (checked(true), nobody(), Some(0)),
        (checked(false), ours(), None),
    ] {
        let what = format!("{options:?}");
        let served = fetch(&server(options), &client.config(), "localhost").await.ok();
        assert_eq!(served, certificates.map(|count| format!("TLS 1.3 localhost - {count}")), "{what}");
    }
}

#[tokio::test]
async fn each_name_has_its_certificate_and_its_options() {
    let authority = Authority::new();
    let options = authority
        .options()
        .server_name("a.test", authority.server("a.test"))
        .server_name("*.site.test", authority.server("*.site.test"))
        .server_name("h1.test", ServerName::from(authority.server("h1.test")).protocols(Protocols::HTTP1))
        .server_name(
            "closed.test",
            ServerName::from(authority.server("closed.test"))
                .client_certificates(ClientCertificates::Require)
                .client_trust(authority.trust()),
        );
    let table = server(options.clone());
    let client = authority.client().alpn(&["h2", "http/1.1"]).config();
    // That the certificate is the right one is what the client verifies.
    for (name, alpn) in
        [("a.test", "h2"), ("b.site.test", "h2"), ("h1.test", "http/1.1"), ("localhost", "h2")]
    {
        let stream = connect(&table, &client, name).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()), "{name}");
    }
    let client = authority.client().config();
    fetch(&table, &client, "closed.test").await.unwrap_err();
    let known = authority.client().with_certificate(&authority).config();
    assert_eq!(fetch(&table, &known, "closed.test").await.unwrap(), "TLS 1.3 closed.test - 1");

    let error = fetch(&server(options.refuse_unknown_names()), &client, "localhost").await.unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::UnrecognisedName));
}

#[tokio::test]
async fn a_selector_and_a_resolver_decide_for_each_connection() {
    let authority = Authority::new();
    let a = authority.server("a.test");
    let selector = TlsOptions::certificate_selector({
        let a = a.clone();
        move |name| (name == Some("a.test")).then(|| a.clone())
    });
    let (known, expert) = (TlsOptions::new(a), from_rustls(&authority));
    let resolver = TlsOptions::resolver(move |hello: ClientHello| {
        let (known, expert) = (known.clone(), expert.clone());
        async move {
            tokio::task::yield_now().await;
            match hello.server_name() {
                Some("a.test") => Ok(known),
                Some("localhost") => Ok(expert),
                _ => Err("never heard of it".into()),
            }
        }
    });
    let client = authority.client().config();
    for options in [selector, resolver.clone()] {
        let server = server(options);
        fetch(&server, &client, "a.test").await.unwrap();
        let error = fetch(&server, &client, "b.test").await.unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::UnrecognisedName));
        let mut again = connect(&server, &client, "a.test").await.unwrap();
        answer(&mut again, "/").await.unwrap();
        assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    }
    assert_eq!(fetch(&server(resolver), &client, "localhost").await.unwrap(), "TLS 1.3 localhost - 0");
}

fn from_rustls(authority: &Authority) -> TlsOptions {
    let (certificate, key) = authority.issue("localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    TlsOptions::from_rustls(Arc::new(config.unwrap()))
}

#[tokio::test]
async fn alpn_chooses_the_version_of_http() {
    let authority = Authority::new();
    let start = |protocols| TestServer::builder(app()).protocols(protocols).tls(authority.options()).start();
    let both = Protocols::default();
    for (protocols, offered, expected) in [
        (both, &["h2", "http/1.1"][..], Some("h2")),
        (both, &["http/1.1"], Some("http/1.1")),
        (both, &["http/1.1", "h2"], Some("h2")),
        (Protocols::HTTP1, &["h2", "http/1.1"], Some("http/1.1")),
        (Protocols::HTTP2, &["h2", "http/1.1"], Some("h2")),
        (Protocols::HTTP2, &["http/1.1"], None),
        (Protocols::HTTP2, &["http/1.0"], None),
        (both, &["http/1.0"], Some("http/1.0")),
        (both, &["http/1.0", "http/1.1"], Some("http/1.1")),
        (both, &["spdy/3"], None),
    ] {
        let client = authority.client().alpn(offered).config();
        let server = start(protocols);
        match (connect(&server, &client, "localhost").await, expected) {
            (Ok(stream), Some(expected)) => {
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(expected.as_bytes()));
                if expected == "h2" {
                    speak_http2(stream).await;
                } else {
                    let mut stream = stream;
                    let answer = answer(&mut stream, "/").await.unwrap();
                    assert!(answer.ends_with(&format!("TLS 1.3 localhost {expected} 0")), "{answer}");
                }
            }
            (Err(error), None) => assert_eq!(alert(&error), Some(AlertDescription::NoApplicationProtocol)),
            (result, expected) => panic!("{protocols} {offered:?}: {result:?}, should be {expected:?}"),
        }
    }
    // Without ALPN it is HTTP/1.1, and HTTP/2 is not there for those who just begin with it.
    let client = authority.client().config();
    let server = start(both);
    let mut stream = connect(&server, &client, "localhost").await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");

    let server = start(Protocols::HTTP2);
    let mut stream = connect(&server, &client, "localhost").await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
}

async fn speak_http2(stream: Stream) {
    let stream = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(axum::body::Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, "TLS 1.3 localhost h2 0");
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_what_is_wrong() {
    let authority = Authority::new();
    let request = "GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n";

    let refusing = server(authority.options());
    let mut client = refusing.connect().await.unwrap();
    client.send(request).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("https://"), "{answer}");

    let redirecting = server(authority.options().redirect_http());
    let mut client = redirecting.connect().await.unwrap();
    client.send(request).await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert!(answer.contains("\r\nLocation: https://example.org/a?b\r\n"), "{answer}");

    let mut client = refusing.connect().await.unwrap();
    client.send("SSH-2.0-OpenSSH_9\r\n").await.unwrap();
    assert_eq!(client.read_to_end().await.unwrap(), "");
}

#[tokio::test]
async fn tls_on_a_plain_port_is_told_what_is_wrong() {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03").await.unwrap();
    let answer = client.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_or_dripping_client_is_cut_with_nothing() {
    let authority = Authority::new();
    for (timeout, seconds) in [(None, 10), (Some(Duration::from_secs(3)), 3)] {
        let options = match timeout {
            None => authority.options(),
            Some(timeout) => authority.options().handshake_timeout(timeout),
        };
        let server = server(options);
        for octets in [&b""[..], &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], b"GET / HTTP/1.1"] {
            let started = Instant::now();
            let mut client = server.connect().await.unwrap();
            for octet in octets {
                client.send([*octet]).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(client.read_to_end().await.unwrap(), "");
            let took = started.elapsed();
            assert!(
                took >= Duration::from_secs(seconds) && took < Duration::from_secs(seconds + 1),
                "{took:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_hangs_counts_as_a_handshake_that_hangs() {
    let authority = Authority::new();
    let server = server(TlsOptions::resolver(|_| std::future::pending()));
    let started = Instant::now();
    fetch(&server, &authority.client().config(), "localhost").await.unwrap_err();
    assert!(started.elapsed() >= Duration::from_secs(10) && started.elapsed() < Duration::from_secs(11));
}

#[tokio::test(start_paused = true)]
async fn stuck_handshakes_delay_nobody() {
    let authority = Authority::new();
    let server = server(authority.options());
    let mut stuck = Vec::new();
    for _ in 0..200 {
        let mut client = server.connect().await.unwrap();
        client.send(b"\x16\x03\x01").await.unwrap();
        stuck.push(client);
    }
    let started = Instant::now();
    fetch(&server, &authority.client().config(), "localhost").await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    let mut server = server(authority.options());
    let mut stuck = server.connect().await.unwrap();
    stuck.send(b"\x16").await.unwrap();
    tokio::task::yield_now().await;
    server.stop();
    tokio::time::timeout(Duration::from_secs(5), server.stopped()).await.unwrap();
    assert_eq!(stuck.read_to_end().await.unwrap(), "");
}

#[tokio::test]
async fn layers_before_tls_see_ciphertext_and_those_after_it_plaintext() {
    let authority = Authority::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |place: &'static str| {
        let seen = Arc::clone(&seen);
        connection::from_fn(move |mut connection: Connection, next: Next| {
            let seen = Arc::clone(&seen);
            async move {
                let mut first = [0; 3];
                connection.io_mut().read_exact(&mut first).await?;
                seen.lock().unwrap().push((place, first, connection.info().is_https()));
                let connection = connection.map_io(|io| {
                    let (read, write) = tokio::io::split(io);
                    connection::BoxIo::new(tokio::io::join(io::Cursor::new(first).chain(read), write))
                });
                next.run(connection).await
            }
        })
    };
    let server = TestServer::builder(app())
        .layer(note("before"))
        .tls(authority.options())
        .layer(note("after"))
        .start();
    fetch(&server, &authority.client().config(), "localhost").await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [("before", [22, 3, 1], false), ("after", *b"GET", true)]);
}

#[tokio::test]
async fn a_callback_sees_the_whole_hello() {
    let authority = Authority::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let options = authority.options().client_hello_callback({
        let seen = Arc::clone(&seen);
        move |_, hello| seen.lock().unwrap().push(hello.to_vec())
    });
    fetch(&server(options), &authority.client().config(), "localhost").await.unwrap();
    let seen = seen.lock().unwrap();
    let hello = &seen[0];
    assert_eq!((seen.len(), hello[0], hello[5]), (1, 22, 1));
    assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])) + 5, hello.len());
}

#[tokio::test]
async fn a_client_that_will_send_no_more_still_gets_its_answer() {
    let authority = Authority::new();
    let app = Router::new().route(
        "/",
        get(async || {
            tokio::time::sleep(Duration::from_millis(100)).await;
            "late"
        }),
    );
    let server = TestServer::builder(app).tls(authority.options()).start();
    let mut stream = connect(&server, &authority.client().config(), "localhost").await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.get_mut().1.send_close_notify();
    stream.flush().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("late"), "{answer}");
}

#[cfg(feature = "idn")]
#[tokio::test]
async fn what_is_wrong_with_the_options_is_said_at_bind() {
    let authority = Authority::new();
    let bind = |endpoint| async { KestrelListener::builder().endpoint(endpoint).bind().await.unwrap_err() };
    let at = || Endpoint::ip(([127, 0, 0, 1], 0));
    for (endpoint, expected) in [
        (at().tls(authority.options()).tls(authority.options()), "one TLS"),
        (at().tls(authority.options().versions([])), "versions"),
        (at().tls(authority.options().handshake_timeout(Duration::ZERO)), "handshake_timeout"),
        (at().tls(TlsOptions::for_server_names()), "no certificate"),
        (at().tls(TlsOptions::for_server_names().server_name("a", ServerName::new())), "\"a\""),
        (at().tls(authority.options().server_name("", ServerName::new())), "one name"),
        (at().tls(from_rustls(&authority).server_name("a", ServerName::new())), "\"a\""),
        (at().tls(authority.options().server_name("https://a:8080/", ServerName::new())), "write \"a\""),
        (
            at().tls(authority.options().server_name("xn--bcher-kva.test", ServerName::new())),
            "write \"bücher.test\"",
        ),
        (
            at().tls(TlsOptions::resolver(|_| std::future::pending()).server_name("a", ServerName::new())),
            "resolver",
        ),
    ] {
        let error = bind(endpoint).await;
        assert!(error.is_option(), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("https://127.0.0.1:0: ") && text.contains(expected), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_and_openssl_are_served() {
    let authority = Authority::new();
    let endpoint = Endpoint::ip(([127, 0, 0, 1], 0)).tls(authority.options());
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    let port = listener.local_addrs()[0].socket_addr().unwrap().port();
    assert_eq!(listener.addresses()[0].to_string(), format!("https://127.0.0.1:{port}"));
    tokio::spawn(async move { kestrel_rs::serve(app()).listener(listener).await });
    let authority_file = authority.folder.join("ca.pem");
    let run = |program: &'static str, arguments: Vec<String>| async move {
        let output = tokio::task::spawn_blocking(move || {
            Command::new(program).args(arguments).stdin(Stdio::null()).output()
        });
        match output.await.unwrap() {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => {
                eprintln!("skipped: {program}: {error}");
                None
            }
        }
    };
    let file = authority_file.to_str().unwrap().to_owned();
    let arguments =
        ["-s", "--cacert", &file, &format!("https://localhost:{port}/")].map(str::to_owned).to_vec();
    if let Some(answer) = run("curl", arguments).await {
        assert!(answer.starts_with("TLS 1.3 localhost "), "{answer}");
    }
    let connect = format!("127.0.0.1:{port}");
    let arguments =
        ["s_client", "-connect", &connect, "-CAfile", &file, "-servername", "localhost", "-tls1_2"];
    if let Some(answer) = run("openssl", arguments.map(str::to_owned).to_vec()).await {
        assert!(answer.contains("Verify return code: 0 (ok)"), "{answer}");
    }
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Collects what this thread logs from now on.
    fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

#[tokio::test]
async fn what_a_client_does_wrong_is_logged_at_debug() {
    let authority = Authority::new();
    let (log, _guard) = Log::collect();
    let server = server(authority.options().refuse_unknown_names());
    for octets in [&b"\x16\x03\x01\x00\x02xx"[..], b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\0\0", b""] {
        let mut client = server.connect().await.unwrap();
        client.send(octets).await.unwrap();
        client.finish().await.unwrap();
        let _ = client.read_to_end().await;
    }
    fetch(&server, &authority.client().config(), "localhost").await.unwrap_err();
    tokio::task::yield_now().await;
    let text = log.text();
    assert_eq!(text.matches("TLS handshake failed").count(), 4, "{text}");
    assert!(text.contains("plain HTTP on an https endpoint"), "{text}");
    assert!(!text.contains(" WARN ") && !text.contains(" ERROR "), "{text}");
}

#[tokio::test]
async fn connection_logging_shows_what_there_is_at_its_place() {
    let authority = Authority::new();
    let (log, _guard) = Log::collect();
    let server = TestServer::builder(app())
        .layer(connection::ConnectionLoggingLayer::new().name("cipher"))
        .tls(authority.options())
        .layer(connection::ConnectionLoggingLayer::new().name("plain"))
        .start();
    fetch(&server, &authority.client().config(), "localhost").await.unwrap();
    let text = log.text();
    let plain = " 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a   GET / HTTP/1.1..";
    assert_eq!(text.matches(plain).count(), 1, "{text}");
    assert!(text.contains("name=\"plain\"") || text.contains("\"plain\""), "{text}");
    assert!(text.contains("cipher"), "{text}");
}
