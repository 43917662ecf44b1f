//! The reference application: the routes that the recordings of the real Kestrel ask for.
//!
//! ```text
//! cargo run --release --example reference -- PORT SHORT_PORT
//!
//! PORT            default limits
//! PORT + 100      the same over HTTP/2 only
//! SHORT_PORT      2 s for idle connections and heads, 240 B/s after 2 s, one upgraded connection,
//!                 and only the hosts localhost, example.com, *.test.local
//! SHORT_PORT+100  the same over HTTP/2 only
//! ```

mod hosts;
mod routes;

use std::time::Duration;

use axum::Router;
use kestrel_rs::{BoxError, Endpoint, KestrelListener, Limits, MinDataRate, Protocols};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(short_port)) = (arguments.next(), arguments.next()) else {
        return Err("usage: reference PORT SHORT_PORT".into());
    };
    let short = Limits::default()
        .keep_alive_timeout(Duration::from_secs(2))
        .request_headers_timeout(Duration::from_secs(2))
        .min_request_body_data_rate(MinDataRate::new(240.0, Duration::from_secs(2))?)
        .max_concurrent_upgraded_connections(1);
    let only_ours = axum::middleware::from_fn(hosts::only_ours);

    tokio::try_join!(
        serve(routes::all(), port.parse()?, Limits::default()),
        serve(routes::all().layer(only_ours), short_port.parse()?, short),
    )?;
    Ok(())
}

/// Serves `app` on `port`, and 100 above it over HTTP/2 only.
async fn serve(app: Router, port: u16, limits: Limits) -> Result<(), BoxError> {
    let http2_port = port.checked_add(100).ok_or("no port is 100 above it")?;
    let listener = KestrelListener::builder()
        .limits(limits)
        // In clear Kestrel speaks HTTP/1 only, unless the endpoint is for HTTP/2 only.
        .endpoint(Endpoint::parse(&format!("http://127.0.0.1:{port}"))?.protocols(Protocols::HTTP1))
        .endpoint(Endpoint::parse(&format!("http://127.0.0.1:{http2_port}"))?.protocols(Protocols::HTTP2))
        .bind()
        .await?;
    kestrel_rs::serve(app).listener(listener).await?;
    Ok(())
}
