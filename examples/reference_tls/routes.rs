//! The routes that are about TLS; the others are those of the reference application.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{BoxError, Router};
use http_body_util::BodyExt;
use kestrel_rs::tls::TlsVersion;
use kestrel_rs::{ConnectionInfo, RequestAborted, TlsInfo};

use crate::endpoints::{Counts, DoneElsewhere, Hello, Order, Seen};
use crate::reference;

#[derive(Clone)]
struct Notes {
    counts: Counts,
    kept: Arc<Mutex<HashMap<String, String>>>,
}

pub(crate) fn all(counts: Counts) -> Router {
    Router::new()
        .route("/", any(async || text("Hello World!")))
        .route("/tls", any(tls))
        .route("/sni", any(sni))
        .route("/info", any(info))
        .route("/client-cert", any(client_certificate))
        .route("/client-cert-twice", any(client_certificate_twice))
        .route("/client-cert-drained", any(client_certificate_drained))
        .route("/client-cert-buffered", any(client_certificate_buffered))
        .route("/client-cert-late", any(client_certificate_late))
        .route("/order", any(order))
        .route("/counts", any(counted))
        .route("/counts/reset", any(reset_counts))
        .route("/seen", any(seen))
        .route("/hello", any(hello))
        .route("/echo", any(echo))
        .route("/keep/{key}", any(keep))
        .route("/wait/{key}", any(wait))
        .route("/kept/{key}", any(kept))
        .with_state(Notes { counts, kept: Arc::default() })
        .fallback_service(reference::all())
}

async fn tls(tls: Option<TlsInfo>) -> Response {
    let (protocol, cipher, alpn, host) = match &tls {
        None => ("", "", "".into(), ""),
        Some(tls) => (
            if tls.version() == TlsVersion::Tls12 { "Tls12" } else { "Tls13" },
            tls.cipher_suite(),
            String::from_utf8_lossy(tls.alpn().unwrap_or_default()),
            tls.server_name().unwrap_or_default(),
        ),
    };
    let client = subject(tls.as_ref());
    let json = format!(
        r#"{{"protocol":"{protocol}","cipher":"{cipher}","alpn":"{alpn}","host":"{host}","client":"{client}"}}"#
    );
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}

async fn sni(tls: Option<TlsInfo>) -> Response {
    text(tls.as_ref().and_then(TlsInfo::server_name).unwrap_or("-"))
}

async fn info(OriginalUri(uri): OriginalUri, connection: ConnectionInfo, request: Request) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or_default();
    let target = match request.version() {
        Version::HTTP_2 => uri.path_and_query().map_or_else(String::new, ToString::to_string),
        _ => uri.to_string(),
    };
    let protocol = match request.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    let secure = connection.is_https() || connection.get::<DoneElsewhere>().is_some();
    let scheme = if secure { "https" } else { "http" };
    text(&format!("{} {target} {protocol} {scheme} {host}", request.method()))
}

async fn client_certificate(tls: Option<TlsInfo>) -> Response {
    text(&subject(tls.as_ref()))
}

async fn client_certificate_twice(tls: Option<TlsInfo>) -> Response {
    let subject = subject(tls.as_ref());
    text(&format!("{subject} {subject}"))
}

async fn client_certificate_drained(tls: Option<TlsInfo>, body: Body) -> Result<Response, String> {
    let length = drain(body).await.map_err(|error| error.to_string())?;
    Ok(text(&format!("{length} {}", subject(tls.as_ref()))))
}

async fn client_certificate_buffered(tls: Option<TlsInfo>, body: Body) -> Result<Response, String> {
    let length = drain(body).await.map_err(|error| error.to_string())?;
    Ok(text(&format!("{length} {} {length}", subject(tls.as_ref()))))
}

async fn client_certificate_late(tls: Option<TlsInfo>) -> Response {
    let subject = subject(tls.as_ref());
    text(&format!("{subject} {subject} {subject}"))
}

async fn order(connection: ConnectionInfo) -> Response {
    text(&connection.get::<Order>().map_or_else(|| "-".to_owned(), |order| order.0))
}

async fn counted(State(notes): State<Notes>) -> Response {
    let counts = lock(&notes.counts);
    let of = |place| counts.get(place).copied().unwrap_or_default();
    text(&format!("before={} after={}", of("before"), of("after")))
}

async fn reset_counts(State(notes): State<Notes>) -> Response {
    lock(&notes.counts).clear();
    text("ok")
}

async fn seen(connection: ConnectionInfo) -> Response {
    text(connection.get::<Seen>().map_or("-", |seen| seen.0))
}

async fn hello(connection: ConnectionInfo) -> Response {
    text(&connection.get::<Hello>().map_or_else(|| "-".to_owned(), |hello| hello.0))
}

async fn echo(body: Body) -> Result<Response, String> {
    let body = body.collect().await.map_err(|error| error.to_string())?;
    Ok(Body::from(body.to_bytes()).into_response())
}

async fn keep(State(notes): State<Notes>, Path(key): Path<String>, mut body: Body) -> Response {
    let mut length = 0;
    let outcome = loop {
        match body.frame().await {
            None => break format!("whole {length}"),
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, axum::body::Bytes::len),
            Some(Err(_)) => break format!("cut {length}"),
        }
    };
    lock(&notes.kept).insert(key, outcome.clone());
    text(&outcome)
}

async fn wait(State(notes): State<Notes>, Path(key): Path<String>, aborted: RequestAborted) -> Response {
    // In a task of its own: the handler ends with its connection.
    let waiting = tokio::spawn(async move {
        let outcome = tokio::select! {
            () = aborted.aborted() => "aborted",
            () = tokio::time::sleep(Duration::from_millis(1500)) => "finished",
        };
        lock(&notes.kept).insert(key, outcome.to_owned());
        outcome
    });
    text(waiting.await.unwrap_or("failed"))
}

async fn kept(State(notes): State<Notes>, Path(key): Path<String>) -> Response {
    for _ in 0..40 {
        if let Some(outcome) = lock(&notes.kept).remove(&key) {
            return text(&outcome);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    text("nothing")
}

/// The common name of the client.
fn subject(tls: Option<&TlsInfo>) -> String {
    let certificate = tls.and_then(|tls| tls.peer_certificates().next());
    certificate.and_then(common_name).map_or_else(|| "-".to_owned(), |name| format!("CN={name}"))
}

/// The second common name in a certificate: the first is the issuer's.
fn common_name(certificate: &[u8]) -> Option<String> {
    let oid = [6, 3, 0x55, 4, 3];
    let mut found = (0..certificate.len()).filter(|at| certificate[*at..].starts_with(&oid));
    let at = found.nth(1)? + oid.len();
    let length = usize::from(*certificate.get(at + 1)?);
    let name = certificate.get(at + 2..at + 2 + length)?;
    Some(String::from_utf8_lossy(name).into_owned())
}

async fn drain(body: Body) -> Result<usize, BoxError> {
    Ok(body.collect().await?.to_bytes().len())
}

fn text(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], text.to_owned()).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
