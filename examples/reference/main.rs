//! The reference application: the routes that the recordings of the real Kestrel ask for.
//!
//! ```text
//! cargo run --release --example reference -- PORT SHORT_PORT [SMALL_PORT]
//!
//! PORT            default limits
//! PORT + 100      the same over HTTP/2 only
//! SHORT_PORT      2 s for idle connections and heads, 240 B/s after 2 s, one upgraded connection,
//!                 and only the hosts localhost, example.com, *.test.local
//! SHORT_PORT+100  the same over HTTP/2 only
//! SMALL_PORT      HTTP/2 only, with small frames, windows and tables, two streams, a ping each second
//! ```

mod routes;

use std::time::Duration;

use axum::Router;
use kestrel_rs::limits::Http2Limits;
use kestrel_rs::listener::Builder;
use kestrel_rs::request::{AllowedHosts, HostFilteringLayer};
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
    let only_ours = HostFilteringLayer::new(AllowedHosts::new(["localhost", "example.com", "*.test.local"])?);
    let mut default = endpoints(port.parse()?, &Limits::default())?;
    if let Some(small_port) = arguments.next() {
        default.push(endpoint(small_port.parse()?, Protocols::HTTP2, &small())?);
    }
    tokio::try_join!(
        serve(routes::all(), default),
        serve(routes::all().layer(only_ours), endpoints(short_port.parse()?, &short)?),
    )?;
    Ok(())
}

fn small() -> Limits {
    Limits::default().http2(
        Http2Limits::default()
            .max_streams_per_connection(2)
            .header_table_size(0)
            .max_frame_size(32_768)
            .max_request_header_field_size(1_024)
            .initial_connection_window_size(70_000)
            .initial_stream_window_size(65_535)
            .keep_alive_ping_delay(Duration::from_secs(1))
            .keep_alive_ping_timeout(Duration::from_secs(1)),
    )
}

/// In clear Kestrel speaks HTTP/1 only, unless the endpoint is for HTTP/2 only.
fn endpoints(port: u16, limits: &Limits) -> Result<Vec<Endpoint>, BoxError> {
    let http2_port = port.checked_add(100).ok_or("no port is 100 above it")?;
    Ok(vec![endpoint(port, Protocols::HTTP1, limits)?, endpoint(http2_port, Protocols::HTTP2, limits)?])
}

fn endpoint(port: u16, protocols: Protocols, limits: &Limits) -> Result<Endpoint, BoxError> {
    Ok(Endpoint::parse(&format!("http://127.0.0.1:{port}"))?.protocols(protocols).limits(limits.clone()))
}

async fn serve(app: Router, endpoints: Vec<Endpoint>) -> Result<(), BoxError> {
    let listener = endpoints.into_iter().fold(KestrelListener::builder(), Builder::endpoint);
    kestrel_rs::serve(app).listener(listener.bind().await?).await?;
    Ok(())
}
