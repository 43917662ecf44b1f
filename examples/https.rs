//! HTTPS with a certificate from two files, and plain HTTP on the same port sent on to it:
//! `cargo run --example https -- cert.pem key.pem`, then <https://localhost:5001>.

use axum::{Router, routing::get};
use kestrel_rs::{BoxError, Certificate, Endpoint, KestrelListener, TlsInfo, TlsOptions};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("usage: https CERT.pem KEY.pem".into());
    };
    let tls = TlsOptions::new(Certificate::from_pem_files(certificate, key)?).redirect_http();
    let listener = KestrelListener::builder().endpoint(Endpoint::localhost(5001).tls(tls)).bind().await?;

    let app = Router::new().route("/", get(hello));
    kestrel_rs::serve(app).listener(listener).await?;
    Ok(())
}

async fn hello(tls: TlsInfo) -> String {
    format!("Hello, World! This is {} with {}.\n", tls.version(), tls.cipher_suite())
}
