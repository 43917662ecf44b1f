//! `sni.json`: which entry of a table of server names serves a client, and with what.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use kestrel_rs::tls::{ServerName, TlsVersion};
use kestrel_rs::{Certificate, ClientCertificates, Endpoint, KestrelListener, Protocols, TlsOptions};
use serde_json::Value;

use crate::recording::{Case, cases, latin1};
use crate::table::How::Like;
use crate::table::{Difference, Different, Report, check, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("an empty name is a malformed ClientHello to rustls (decode_error)", 5, is_empty, Like("alert 50")),
    rule("an entry that no client can ask for is an error", 21, has_an_odd_entry, Like("refused: *")),
    rule("rustls refuses a name that no host can have, whatever the table says", 37, is_no_dns_name, Like("alert *")),
    rule("sni-malformed: a name with a dot at its end matches only `*`", 0, ends_in_a_dot, Like("alert *")),
];

fn has_an_odd_entry(case: &Case) -> bool {
    let is_odd = |entry: &String| {
        let name = entry.strip_prefix("*.").unwrap_or(entry);
        entry != "*"
            && (name.contains(['*', ' ', ':', '/'])
                || name.to_lowercase().contains("xn--")
                || name.split('.').any(str::is_empty)
                || name.parse::<std::net::IpAddr>().is_ok())
    };
    case.output["start_error"].is_null() && case.input["sni"].as_object().unwrap().keys().any(is_odd)
}

fn is_empty(case: &Case) -> bool {
    case.input["server_name"] == ""
}

fn is_no_dns_name(case: &Case) -> bool {
    let name = case.input["server_name"].as_str();
    name.is_some_and(|name| rustls_pki_types::DnsName::try_from(name).is_err())
}

fn ends_in_a_dot(case: &Case) -> bool {
    case.input["server_name"].as_str().is_some_and(|name| name.ends_with('.'))
}

/// How a handshake went.
#[derive(Debug, Default, PartialEq)]
struct Handshake {
    alert: Option<u8>,
    certificate: Option<String>,
    alpn: Option<String>,
    asks_client_certificate: bool,
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(alert) = self.alert {
            return write!(f, "alert {alert}");
        }
        write!(f, "{:?} {:?}", self.certificate, self.alpn)?;
        f.write_str(if self.asks_client_certificate { ", asks for a certificate" } else { "" })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_names_serves_as_kestrels_does() {
    let mut certificates = Certificates::new();
    let mut servers: HashMap<String, Result<SocketAddr, kestrel_rs::Error>> = HashMap::new();
    let mut report = Report::new("facts/sni.json", DIFFERENCES);
    for case in cases("facts/sni.json") {
        let setup = format!("{} {}", case.input["sni"], case.input["endpoint"]);
        if !servers.contains_key(&setup) {
            let server = start(&case.input, &mut certificates).await;
            servers.insert(setup.clone(), server);
        }
        let starts = case.output["start_error"].is_null();
        let outcome = match &servers[&setup] {
            Err(error) => check(!starts, || format!("refused: {error}")),
            Ok(_) if !starts => check(false, || "starts"),
            Ok(address) => {
                let (address, hello) = (*address, client_hello(&case.input));
                let ours = tokio::task::spawn_blocking(move || shake_hands(address, &hello)).await.unwrap();
                let theirs = recorded(&case.output);
                if ours == theirs {
                    Ok(())
                } else {
                    Err(Different::new(format!("recorded {theirs}"), ours.to_string()))
                }
            }
        };
        report.note(&case, outcome);
    }
    report.finish();
}

/// Starts a server that is set up as the case says.
async fn start(input: &Value, certificates: &mut Certificates) -> Result<SocketAddr, kestrel_rs::Error> {
    let endpoint = &input["endpoint"];
    let mut options = match endpoint["certificate"].as_str() {
        Some("certificate") => TlsOptions::new(certificates.named("endpoint")),
        Some("default") => TlsOptions::new(certificates.named("default")),
        _ => TlsOptions::for_server_names(),
    };
    let names = input["sni"].as_object().unwrap();
    if !names.is_empty() {
        options = options.refuse_unknown_names();
    }
    for (name, entry) in names {
        let mut server_name = ServerName::new();
        if entry["certificate"] == true {
            server_name = server_name.certificate(certificates.named(name));
        }
        if let Some(protocols) = protocols(&entry["protocols"]) {
            server_name = server_name.protocols(protocols);
        }
        if let Some(versions) = versions(&entry["ssl_protocols"]) {
            server_name = server_name.versions(versions);
        }
        if let Some(mode) = client_certificates(&entry["client_certificate_mode"]) {
            server_name = server_name.client_certificates(mode);
        }
        options = options.server_name(name, server_name);
    }
    if let Some(protocols) = protocols(&endpoint["protocols"]) {
        options = options.protocols(protocols);
    }
    if let Some(versions) = versions(&endpoint["ssl_protocols"]) {
        options = options.versions(versions);
    }
    if let Some(mode) = client_certificates(&endpoint["client_certificate_mode"]) {
        options = options.client_certificates(mode);
    }
    options = options.client_trust(kestrel_rs::tls::ClientTrust::danger_accept_any());
    let endpoint = Endpoint::ip(([127, 0, 0, 1], 0)).tls(options);
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
    let address = listener.local_addrs()[0].socket_addr().unwrap();
    tokio::spawn(async move { kestrel_rs::serve(Router::new()).listener(listener).await });
    Ok(address)
}

/// `None` for what configuration does not understand, which counts as not said.
fn protocols(value: &Value) -> Option<Protocols> {
    match value.as_str()?.to_ascii_lowercase().as_str() {
        "http1" => Some(Protocols::HTTP1),
        "http2" => Some(Protocols::HTTP2),
        "http1andhttp2" => Some(Protocols::default()),
        _ => None,
    }
}

fn versions(value: &Value) -> Option<Vec<TlsVersion>> {
    match value.as_str()? {
        "Tls12" => Some(vec![TlsVersion::Tls12]),
        "Tls13" => Some(vec![TlsVersion::Tls13]),
        "None" => Some(vec![TlsVersion::Tls12, TlsVersion::Tls13]),
        _ => None,
    }
}

/// A certificate that is only asked for later is not asked for in the handshake.
fn client_certificates(value: &Value) -> Option<ClientCertificates> {
    match value.as_str()? {
        "AllowCertificate" => Some(ClientCertificates::Allow),
        "RequireCertificate" => Some(ClientCertificates::Require),
        "NoCertificate" | "DelayCertificate" => Some(ClientCertificates::Ignore),
        _ => None,
    }
}

fn recorded(output: &Value) -> Handshake {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let alert = output["failed"].as_str().map(|failed| match failed.strip_prefix("alert ") {
        Some(number) => number.parse().unwrap(),
        // Kestrel closes without a word; what it means is that it does not know the name.
        None => 112,
    });
    Handshake {
        alert,
        certificate: text(&output["certificate"]),
        alpn: text(&output["alpn"]),
        asks_client_certificate: output["asks_client_certificate"] == true,
    }
}

/// One record with a `ClientHello` of TLS 1.2.
fn client_hello(input: &Value) -> Vec<u8> {
    let mut extensions = Vec::new();
    let mut extension = |kind: u16, body: &[u8]| {
        extensions.extend(kind.to_be_bytes());
        extensions.extend(sized(body));
    };
    if let Some(name) = input["server_name"].as_str() {
        let name = latin1(name);
        extension(0, &sized(&[&[0][..], &sized(&name)].concat()));
    }
    extension(11, &[1, 0]);
    extension(10, &sized(&[0, 29, 0, 23, 0, 24]));
    extension(13, &sized(&[4, 3, 5, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1]));
    if let Some(offered) = input["alpn"].as_array() {
        let names = offered.iter().flat_map(|name| {
            let name = name.as_str().unwrap().as_bytes();
            [&[u8::try_from(name.len()).unwrap()], name].concat()
        });
        extension(16, &sized(&names.collect::<Vec<u8>>()));
    }
    extension(23, &[]);
    extension(0xff01, &[0]);
    let suites = sized(&[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x2c, 0xc0, 0x30]);
    let body = [&[3, 3][..], &[0x5a; 32], &[0], &suites, &[1, 0], &sized(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    [&[22, 3, 1][..], &sized(&message)].concat()
}

/// With its length in two octets before it.
fn sized(octets: &[u8]) -> Vec<u8> {
    [&u16::try_from(octets.len()).unwrap().to_be_bytes()[..], octets].concat()
}

fn shake_hands(address: SocketAddr, hello: &[u8]) -> Handshake {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(hello).unwrap();
    let mut outcome = Handshake::default();
    let mut messages = Vec::new();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut body).unwrap();
        if head[0] == 21 {
            outcome.alert = Some(body[1]);
            return outcome;
        }
        messages.extend(body);
        while let [kind, rest @ ..] = &messages[..] {
            let Some((length, rest)) = rest.split_at_checked(3) else { break };
            let length = usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
            let Some(message) = rest.get(..length) else { break };
            match kind {
                2 => outcome.alpn = alpn(message),
                11 => outcome.certificate = Some(common_name(message)),
                13 => outcome.asks_client_certificate = true,
                14 => return outcome,
                _ => {}
            }
            messages.drain(..4 + length);
        }
    }
}

/// The protocol that a `ServerHello` names.
fn alpn(server_hello: &[u8]) -> Option<String> {
    let session = usize::from(server_hello[34]);
    let mut extensions = server_hello.get(35 + session + 5..)?;
    while let [kind_high, kind_low, high, low, rest @ ..] = extensions {
        let (body, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        if [*kind_high, *kind_low] == [0, 16] {
            return Some(String::from_utf8_lossy(&body[3..]).into_owned());
        }
        extensions = rest;
    }
    None
}

/// The common name of the subject of a self-signed certificate.
fn common_name(certificate: &[u8]) -> String {
    let oid = [6, 3, 0x55, 4, 3];
    let at = certificate.windows(5).position(|octets| octets == oid).unwrap() + 5;
    let length = usize::from(certificate[at + 1]);
    String::from_utf8(certificate[at + 2..at + 2 + length].to_vec()).unwrap()
}

/// Self-signed certificates by name, in files that are gone at the end.
struct Certificates {
    folder: PathBuf,
    made: HashMap<String, Certificate>,
}

impl Certificates {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("kestrel-rs-sni-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, made: HashMap::new() }
    }

    fn named(&mut self, name: &str) -> Certificate {
        let number = self.made.len();
        let make = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            let certificate = parameters.self_signed(&key).unwrap();
            let files = ["pem", "key"].map(|end| self.folder.join(format!("{number}.{end}")));
            std::fs::write(&files[0], certificate.pem()).unwrap();
            std::fs::write(&files[1], key.serialize_pem()).unwrap();
            Certificate::from_pem_files(&files[0], &files[1]).unwrap()
        };
        self.made.entry(name.to_owned()).or_insert_with(make).clone()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
