//! HTTPS, and plain HTTP beside it: `cargo run --features dev-certificate --example https`, then <https://localhost:5001>.
//!
//! The certificate is one for development, made at the first run: a browser wants to be told to
//! trust it (the example `dev_certificate` says how), `curl` takes `--insecure`. Or give
//! two files: `-- cert.pem key.pem`.

use axum::{Router, routing::get};
use kestrel_rs::{Certificate, ConnectionInfo, Endpoint, Error, KestrelListener, TlsOptions};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut files = std::env::args().skip(1);
    let certificate = match (files.next(), files.next()) {
        (Some(certificate), Some(key)) => Certificate::from_pem_files(certificate, key)?,
        _ => Certificate::development()?,
    };
    let listener = KestrelListener::builder()
        .endpoint(Endpoint::localhost(5000))
        .endpoint(Endpoint::localhost(5001).tls(TlsOptions::new(certificate).redirect_http()))
        .bind()
        .await?;
    kestrel_rs::serve(Router::new().route("/", get(hello))).listener(listener).await
}

async fn hello(connection: ConnectionInfo) -> String {
    match connection.tls() {
        Some(tls) => format!("Hello, World! This is {} with {}.\n", tls.version(), tls.cipher_suite()),
        None => "Hello, World! Nobody is kept from reading this.\n".to_owned(),
    }
}
