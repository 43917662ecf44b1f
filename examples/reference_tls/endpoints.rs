//! The endpoints, by their numbers.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kestrel_rs::connection::{self, Connection, ConnectionLoggingLayer, Next};
use kestrel_rs::tls::{ClientHello, ClientTrust, ServerName, TlsVersion};
use kestrel_rs::{
    BoxError, Certificate, ClientCertificates, Endpoint, Limits, MinDataRate, Protocols, TlsOptions,
};
use rustls::crypto::aws_lc_rs;

/// How often each layer of endpoint 15 was passed.
pub(crate) type Counts = Arc<Mutex<HashMap<&'static str, usize>>>;

/// Which layers a connection has passed.
#[derive(Clone, Default)]
pub(crate) struct Order(pub(crate) String);

/// What the hook of endpoint 17 would have seen.
#[derive(Clone)]
pub(crate) struct Seen(pub(crate) &'static str);

/// The `ClientHello` of endpoint 18: its length, and its SHA-256.
#[derive(Clone)]
pub(crate) struct Hello(pub(crate) String);

/// Endpoint 29 has TLS done elsewhere.
#[derive(Clone)]
pub(crate) struct DoneElsewhere;

pub(crate) fn all(base: u16, folder: &Path) -> Result<(Vec<Endpoint>, Counts), BoxError> {
    let counts = Counts::default();
    let certificate = |name: &str, key: &str| {
        Certificate::from_pem_files(folder.join(format!("{name}.pem")), folder.join(format!("{key}.key")))
    };
    let named = |name: &str| certificate(name, name);
    let chain = Certificate::from_pfx_file(folder.join("chain.pfx"), "test")?;
    let encrypted = Certificate::from_encrypted_pem_files(
        folder.join("default.pem"),
        folder.join("default.enc.key"),
        "test",
    )?;
    let standard = named("default")?;
    let ours = ClientTrust::from_pem_file(folder.join("ca.pem"))?;
    let tls = || TlsOptions::new(standard.clone());
    let by_clients = |tls: TlsOptions, mode| tls.client_certificates(mode).client_trust(ours.clone());
    let clients = |mode| by_clients(tls(), mode);
    let allow = || clients(ClientCertificates::Allow);
    let at = |n: u16| Endpoint::ip(([127, 0, 0, 1], base + n));
    let with_table = |options: TlsOptions| -> Result<TlsOptions, BoxError> {
        Ok(options
            .refuse_unknown_names()
            .server_name("a.test.local", named("a")?)
            .server_name("*.test.local", named("wild")?)
            .server_name("*.deep.test.local", named("deep")?)
            .server_name("h1.test.local", ServerName::new().protocols(Protocols::HTTP1)))
    };
    let brief = Limits::default()
        .keep_alive_timeout(Duration::from_secs(2))
        .request_headers_timeout(Duration::from_secs(2))
        .min_request_body_data_rate(MinDataRate::new(240.0, Duration::from_secs(2))?);

    let endpoints = vec![
        at(0).tls(tls()),
        at(1).protocols(Protocols::HTTP1).tls(tls()),
        at(2).protocols(Protocols::HTTP2).tls(tls()),
        at(3).tls(allow()),
        at(4).tls(clients(ClientCertificates::Require)),
        at(5).tls(tls()),
        at(6).tls(with_table(tls())?.server_name("*", ServerName::new())),
        at(7).tls(with_table(tls())?),
        at(8).tls(tls().handshake_timeout(Duration::from_secs(1))),
        at(9).tls(tls().versions([TlsVersion::Tls12])),
        at(10).tls(tls().versions([TlsVersion::Tls13])),
        at(11).tls(by_name(folder, &standard, &named("a")?, &named("wild")?, &ours)?),
        at(12).tls(TlsOptions::new(named("chain")?)),
        at(13).tls(TlsOptions::new(named("rsa")?)),
        at(14).limits(brief).tls(tls().handshake_timeout(Duration::from_secs(2))),
        at(15)
            .protocols(Protocols::HTTP1)
            .layer(note(Arc::clone(&counts), "before"))
            .tls(tls())
            .layer(note(Arc::clone(&counts), "after")),
        at(16).tls(selected(&standard, &named("rsa")?, &named)),
        at(17)
            .tls(tls().versions([TlsVersion::Tls12]).protocols(Protocols::HTTP1))
            .layer(insert(Seen("Tls13 h2+http/1.1 client=True certificate=localhost"))),
        at(18).tls(tls().handshake_timeout(Duration::from_secs(1)).client_hello_callback(
            |connection, octets| {
                connection.insert(Hello(format!("{} {}", octets.len(), sha256(octets))));
            },
        )),
        at(19).layer(ConnectionLoggingLayer::new()).tls(allow()).layer(ConnectionLoggingLayer::new()),
        at(20)
            .tls(tls().cipher_suites(["TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"])),
        at(21).tls(TlsOptions::new(named("rsa")?).versions([TlsVersion::Tls12])),
        at(22).tls(tls().client_certificates(ClientCertificates::Allow)),
        at(23).tls(allow().client_trust(ClientTrust::danger_accept_any())),
        at(24).tls(TlsOptions::new(chain.clone())),
        at(25).tls(TlsOptions::new(certificate("chain-root", "chain")?)),
        at(26).tls(by_entry(allow())),
        at(27).protocols(Protocols::HTTP1).tls(
            by_clients(TlsOptions::new(encrypted), ClientCertificates::Require).versions([TlsVersion::Tls12]),
        ),
        at(28).protocols(Protocols::HTTP1).tls(tls().versions([TlsVersion::Tls12])),
        at(29).layer(insert(DoneElsewhere)),
        at(30).limits(Limits::default().max_concurrent_connections(1)).tls(tls()),
        at(31).tls(tls().without_resumption()),
        at(32).tls(TlsOptions::new(chain.clone())),
        at(33).tls(TlsOptions::new(chain)),
    ];
    Ok((endpoints, counts))
}

/// Keeps a value with each connection.
fn insert<T: Clone + Send + Sync + 'static>(
    value: T,
) -> connection::FromFnLayer<impl Fn(Connection, Next) -> Served + Clone> {
    connection::from_fn(move |connection: Connection, next: Next| {
        connection.info().insert(value.clone());
        Box::pin(next.run(connection)) as Served
    })
}

type Served = std::pin::Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Counts a connection, and notes on it that it came by, before or after TLS.
fn note(
    counts: Counts,
    place: &'static str,
) -> connection::FromFnLayer<impl Fn(Connection, Next) -> Served + Clone> {
    connection::from_fn(move |connection: Connection, next: Next| {
        *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(place).or_default() += 1;
        let info = connection.info();
        let before = info.get::<Order>().map(|order| order.0 + " ").unwrap_or_default();
        let tls = if info.is_https() { "yes" } else { "no" };
        info.insert(Order(format!("{before}{place}(tls={tls})")));
        Box::pin(next.run(connection)) as Served
    })
}

/// Endpoint 26: a table in which each name has one thing of its own.
fn by_entry(options: TlsOptions) -> TlsOptions {
    let entry = ServerName::new;
    options
        .refuse_unknown_names()
        .server_name("tls12.test.local", entry().versions([TlsVersion::Tls12]))
        .server_name("tls13.test.local", entry().versions([TlsVersion::Tls13]))
        .server_name("require.test.local", entry().client_certificates(ClientCertificates::Require))
        .server_name("none.test.local", entry().client_certificates(ClientCertificates::Ignore))
        .server_name("delay.test.local", entry().client_certificates(ClientCertificates::Ignore))
        .server_name("h2.test.local", entry().protocols(Protocols::HTTP2))
        .server_name("*", entry().protocols(Protocols::default()))
}

/// Endpoint 16: a selector.
fn selected(
    standard: &Certificate,
    rsa: &Certificate,
    named: &dyn Fn(&str) -> Result<Certificate, kestrel_rs::Error>,
) -> TlsOptions {
    let standard = standard.clone();
    let rsa = rsa.clone();
    // A certificate that cannot serve is none.
    let by_name: HashMap<_, _> =
        ["a", "wild", "no-eku", "no-san", "bad-eku", "old"].map(|name| (name, named(name).ok())).into();
    TlsOptions::certificate_selector(move |name| match name.and_then(|name| name.split('.').next()) {
        None => Some(rsa.clone()),
        Some("null" | "throw") => None,
        Some(first) => by_name.get(first).cloned().unwrap_or_else(|| Some(standard.clone())),
    })
}

/// Endpoint 11: a resolver.
fn by_name(
    folder: &Path,
    standard: &Certificate,
    a: &Certificate,
    wild: &Certificate,
    ours: &ClientTrust,
) -> Result<TlsOptions, BoxError> {
    let tls = || TlsOptions::new(standard.clone());
    let expert = |alpn: &[&str]| -> Result<TlsOptions, BoxError> {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(folder.join("default.pem"))?.collect::<Result<_, _>>()?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(folder.join("default.key"))?)?;
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsOptions::from_rustls(Arc::new(config)).client_certificates(ClientCertificates::Ignore))
    };
    let required = tls().client_certificates(ClientCertificates::Require).client_trust(ours.clone());
    let options: HashMap<&str, TlsOptions> = HashMap::from([
        ("a", TlsOptions::new(a.clone())),
        ("h1", tls().protocols(Protocols::HTTP1)),
        ("foo", expert(&["foo"])?),
        ("noalpn", expert(&[])?),
        ("tls12", TlsOptions::new(wild.clone()).versions([TlsVersion::Tls12])),
        ("tls13", TlsOptions::new(wild.clone()).versions([TlsVersion::Tls13])),
        ("client", required),
    ]);
    let (options, other) = (Arc::new(options), tls());
    let resolver = TlsOptions::resolver(move |hello: ClientHello| {
        let (options, other) = (Arc::clone(&options), other.clone());
        async move {
            let first = hello.server_name().unwrap_or_default().split('.').next().unwrap_or_default();
            match first {
                "slow" => tokio::time::sleep(Duration::from_millis(400)).await,
                "hang" => std::future::pending().await,
                "refuse" | "throw" | "null" | "nocert" => return Err("refused by the resolver".into()),
                _ => {}
            }
            Ok(options.get(first).cloned().unwrap_or(other))
        }
    });
    Ok(resolver.handshake_timeout(Duration::from_secs(2)))
}

fn sha256(octets: &[u8]) -> String {
    let suite = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.map(|suite| suite.common.hash_provider.hash(octets).as_ref().to_vec());
    let digits: Vec<_> = hash.unwrap_or_default().iter().map(|octet| format!("{octet:02x}")).collect();
    digits.concat()
}
