//! Fingerprints of TLS clients (JA4) from the first octets that they send:
//! `cargo run --example ja4 -- cert.pem key.pem`, then <https://localhost:5001>.
//!
//! <https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md>

use axum::{Router, routing::get};
use kestrel_rs::{BoxError, Certificate, ConnectionInfo, Endpoint, KestrelListener, TlsOptions};

/// What is kept with a connection.
#[derive(Clone)]
struct Ja4(String);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ja4 CERT.pem KEY.pem".into());
    };
    let tls = TlsOptions::new(Certificate::from_pem_files(certificate, key)?).client_hello_callback(
        |connection, records| {
            if let Some(fingerprint) = ja4(&message_in(records)) {
                connection.insert(Ja4(fingerprint));
            }
        },
    );
    let listener = KestrelListener::builder().endpoint(Endpoint::localhost(5001).tls(tls)).bind().await?;

    let app = Router::new().route("/", get(fingerprint));
    kestrel_rs::serve(app).listener(listener).await?;
    Ok(())
}

async fn fingerprint(connection: ConnectionInfo) -> String {
    connection.get::<Ja4>().map_or_else(|| "-".to_owned(), |ja4| ja4.0) + "\n"
}

/// What is in the records: the handshake message.
fn message_in(mut records: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let Some((head, rest)) = records.split_at_checked(5) {
        let length = usize::from(u16::from_be_bytes([head[3], head[4]])).min(rest.len());
        message.extend_from_slice(&rest[..length]);
        records = &rest[length..];
    }
    message
}

fn ja4(message: &[u8]) -> Option<String> {
    let mut hello = Reader(message.get(4..)?);
    let mut version = hello.number()?;
    hello.take(32)?; // random
    let session = hello.take(1)?[0];
    hello.take(session.into())?;
    let ciphers = Reader(hello.sized()?).numbers();
    let compressions = hello.take(1)?[0];
    hello.take(compressions.into())?;

    let (mut sni, mut alpn, mut signatures, mut kinds) = ('i', "00".to_owned(), Vec::new(), Vec::new());
    let mut extensions = Reader(hello.sized()?);
    while let Some(kind) = extensions.number() {
        let mut body = Reader(extensions.sized()?);
        if is_grease(kind) {
            continue;
        }
        kinds.push(kind);
        match kind {
            0 => sni = 'd',
            13 => signatures = Reader(body.sized()?).numbers(),
            16 => {
                body.take(2)?;
                let length = body.take(1)?[0];
                let name = body.take(length.into())?;
                alpn = format!("{}{}", char::from(*name.first()?), char::from(*name.last()?));
            }
            43 => version = Reader(body.0.get(1..)?).numbers().into_iter().max()?,
            _ => {}
        }
    }
    let version = match version {
        0x304 => "13",
        0x303 => "12",
        0x302 => "11",
        0x301 => "10",
        _ => "00",
    };
    let (cipher_count, kind_count) = (ciphers.len().min(99), kinds.len().min(99));
    let ciphers = hex(&sorted(ciphers));
    kinds.retain(|kind| ![0, 16].contains(kind));
    let extensions = match &signatures[..] {
        [] => hex(&sorted(kinds)),
        signatures => format!("{}_{}", hex(&sorted(kinds)), hex(signatures)),
    };
    let (ciphers, extensions) = (hash(&ciphers), hash(&extensions));
    Some(format!("t{version}{sni}{cipher_count:02}{kind_count:02}{alpn}_{ciphers}_{extensions}"))
}

/// Reads from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]))
    }

    /// What has its length in two octets before it.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    fn numbers(mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.number()).filter(|number| !is_grease(*number)).collect()
    }
}

/// Values that mean nothing (RFC 8701).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0xf == 0xa
}

fn sorted(mut numbers: Vec<u16>) -> Vec<u16> {
    numbers.sort_unstable();
    numbers
}

fn hex(numbers: &[u16]) -> String {
    numbers.iter().map(|number| format!("{number:04x}")).collect::<Vec<_>>().join(",")
}

/// The first 12 digits of the SHA-256.
fn hash(text: &str) -> String {
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.map(|suite| suite.common.hash_provider.hash(text.as_bytes()));
    let octets = hash.map(|hash| hash.as_ref()[..6].to_vec()).unwrap_or_default();
    octets.chunks(2).map(|pair| format!("{:02x}{:02x}", pair[0], pair[1])).collect::<Vec<_>>().concat()
}
