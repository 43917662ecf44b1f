//! What each request layer adds to a request, in nanoseconds, alone around a service that answers at once.
//!
//! ```console
//! $ cargo bench --bench layers
//! ```

#![allow(clippy::print_stdout, reason = "the table is what it is run for")]

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use kestrel_rs::MinDataRate;
use kestrel_rs::request::{
    AllowedHosts, BadRequestLayer, CatchPanicLayer, CertificateForwardingLayer, DefaultHeadersLayer,
    ForwardedHeaders, ForwardedHeadersLayer, HostFilteringLayer, HstsLayer, HttpMethodOverrideLayer,
    HttpsRedirectionLayer, MaxRequestBodySizeLayer, MinRequestBodyDataRateLayer, MinResponseDataRateLayer,
    ResetLayer, SynchronousIoLayer, TrailersLayer,
};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

const ROUNDS: usize = 11;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    // Without `--bench`, as under `cargo test`, once is enough to see that all of it runs.
    let requests = if std::env::args().any(|argument| argument == "--bench") { 20_000 } else { 1 };
    runtime.block_on(all(requests));
}

async fn all(requests: u32) {
    let rate = MinDataRate::default();
    let hosts = AllowedHosts::new(["localhost", "*.example.com"]).expect("hosts");
    println!("ns for each request, median of {ROUNDS} rounds of {requests}");
    let bare = measure(service_fn(answer), requests).await;
    println!("{:>8}  the service alone", bare.as_nanos());
    macro_rules! layers {
        ($($layer:expr),* $(,)?) => {$(
            let with = measure($layer.layer(service_fn(answer)), requests).await;
            let name = stringify!($layer).split(['(', ':']).next().unwrap_or_default();
            println!("{:>8}  {name}", format!("+{}", with.saturating_sub(bare).as_nanos()));
        )*};
    }
    layers![
        DefaultHeadersLayer::new(),
        BadRequestLayer::new(),
        CatchPanicLayer::new(),
        ResetLayer::new(),
        TrailersLayer::new(),
        MinResponseDataRateLayer::new(rate),
        MinRequestBodyDataRateLayer::new(rate),
        MaxRequestBodySizeLayer::new(30_000_000),
        SynchronousIoLayer::default(),
        HostFilteringLayer::new(hosts),
        ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO),
        CertificateForwardingLayer::new(),
        HstsLayer::new(),
        HttpsRedirectionLayer::new(),
        HttpMethodOverrideLayer::new(),
    ];
}

async fn answer(request: Request<Body>) -> Result<Response, Infallible> {
    black_box(request);
    Ok(Response::new(Body::empty()))
}

async fn measure<S, B>(service: S, requests: u32) -> Duration
where
    S: Service<Request<Body>, Response = http::Response<B>, Error = Infallible> + Clone,
{
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..requests {
            let request = Request::get("/").header("host", "localhost").body(Body::empty());
            let response = service.clone().oneshot(request.expect("a request")).await;
            black_box(response.is_ok());
        }
        rounds.push(start.elapsed() / requests);
    }
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}
