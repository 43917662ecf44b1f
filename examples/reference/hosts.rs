//! Allowed hosts: a request for another one gets a 400.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

/// Lets requests for `localhost`, `example.com` and `*.test.local` through, on any port. One without
/// a host, which only HTTP/1.0 can be, is let through too.
pub(crate) async fn only_ours(request: Request, next: Next) -> Result<Response, StatusCode> {
    let authority = request.uri().authority().map(Authority::as_str);
    let field = request.headers().get(header::HOST);
    let host = match field {
        Some(host) => host.to_str().map_err(|_| StatusCode::BAD_REQUEST)?,
        None => authority.unwrap_or_default(),
    };
    if is_ours(without_port(host)) { Ok(next.run(request).await) } else { Err(StatusCode::BAD_REQUEST) }
}

fn is_ours(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    // The star stands for something: `.test.local` is nobody.
    let subdomain = host.strip_suffix(".test.local").is_some_and(|name| !name.is_empty());
    subdomain || matches!(&*host, "" | "localhost" | "example.com")
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
