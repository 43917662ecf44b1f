//! TLS at its place among the connection layers of an endpoint.
//!
//! ```text
//! accept -> layers added before: ciphertext -> TLS -> layers added after: plaintext -> HTTP
//! ```
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use kestrel_rs::{Certificate, Endpoint, KestrelListener, TlsOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kestrel_rs::Error> {
//! let certificate = Certificate::from_pem_files("cert.pem", "key.pem")?;
//! let endpoint = Endpoint::any_ip(443).tls(TlsOptions::new(certificate));
//! let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
//!
//! let app = Router::new().route("/", get(|| async { "Hello, World!" }));
//! kestrel_rs::serve(app).listener(listener).await
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! `close_notify` ends a connection, and an alert says why a handshake is refused: Kestrel sends
//! neither. Plain HTTP on a TLS port is answered. There is no certificate asked for late
//! (`DelayCertificate`), and no TLS 1.0, 1.1 or cipher suite without forward secrecy: rustls has
//! none of them. A client that asks for a name that no host can have (`-a.example.org`, `a b`) is
//! refused by rustls even where there is an entry `*`; Kestrel serves it.

mod authorities;
mod certificate;
mod client;
mod config;
mod development;
mod farewell;
mod handshake;
mod hello;
mod host_rules;
mod layer;
mod names;
mod options;
mod reload;
mod server_name;
mod setup;
#[cfg(test)]
mod test_log;
mod wrong_protocol;

pub use crate::connection::{TlsInfo, TlsVersion};
pub use certificate::Certificate;
pub use client::{ClientCertificates, ClientTrust};
pub use development::{DevelopmentCertificate, create_development_certificate};
pub use hello::ClientHello;
pub use layer::{Tls, TlsFuture, TlsLayer};
pub use options::TlsOptions;
pub(crate) use reload::Followed;
pub use server_name::ServerName;
