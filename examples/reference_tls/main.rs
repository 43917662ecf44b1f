//! The endpoints that the recordings of the real Kestrel's TLS ask for.
//!
//! ```text
//! cargo run --release --example reference_tls -- BASE CERT_DIR
//! ```
//!
//! Endpoint n listens on 127.0.0.1:BASE+n, set up as in the original. What has no counterpart is
//! the closest that there is:
//!
//! ```text
//!   5, 26, 28  a certificate asked for later (renegotiation): never asked for
//!   11, 16     an exception in a callback: an error, which refuses the client too
//!   17         a hook that changes what is set: set at once; what it would have seen is a constant
//!   21         cipher suites of TLS 1.2 without AEAD: all that there are
//!   29         TLS done elsewhere: plain HTTP that is told so
//! ```

mod endpoints;
#[path = "../reference/routes.rs"]
mod reference;
mod routes;

use kestrel_rs::listener::Builder;
use kestrel_rs::{BoxError, KestrelListener};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if std::env::var("LOG").is_ok_and(|log| log == "1") {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).init();
    } else {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    }
    let mut arguments = std::env::args().skip(1);
    let (Some(base), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: reference_tls BASE CERT_DIR".into());
    };
    let (endpoints, counts) = endpoints::all(base.parse()?, folder.as_ref())?;
    let listener = endpoints.into_iter().fold(KestrelListener::builder(), Builder::endpoint);
    kestrel_rs::serve(routes::all(counts)).listener(listener.bind().await?).await?;
    Ok(())
}
