//! The routes, in the order of the original.

use std::collections::{HashMap, HashSet};
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{OriginalUri, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{BoxError, Router};
use bytes::Bytes;
use http_body_util::channel::{Channel, SendError, Sender};
use http_body_util::{BodyExt, LengthLimitError};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use kestrel_rs::request::{ErrorCode, LimitError, RequestLimits, SynchronousIoError, TrailersError};
use kestrel_rs::{ConnectionInfo, MinDataRate, RequestAborted};
use kestrel_rs::{RequestTrailers, Reset, ResponseTrailers, SynchronousIo};
use percent_encoding::percent_decode_str;
use tokio::time::sleep;

/// Kestrel gives `OPTIONS *` and CONNECT to the route of `/`, which only takes GET.
async fn without_path(request: Request) -> Response {
    let is_path = request.uri().path().starts_with('/') && request.method() != Method::CONNECT;
    if is_path {
        return StatusCode::NOT_FOUND.into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response()
}

pub(crate) fn all() -> Router {
    let later = || any(StatusCode::NOT_IMPLEMENTED);
    Router::new()
        .route("/", get(hello).head(only_get).fallback(only_get))
        .route("/json", get(json).head(only_get).fallback(only_get))
        .route("/echo", post(echo))
        .route("/stream-echo", post(stream_echo))
        .route("/length", any(length))
        .route("/ignore", any(async || text("ignored")))
        .route("/info", any(info))
        .route("/header/{name}", any(header_value))
        .route("/status/{code}", any(status))
        .route("/chunked", any(chunked))
        .route("/large/{n}", any(large))
        .route("/abort", any(abort))
        .route("/abort-mid", any(abort_mid))
        .route("/throw", any(throw))
        .route("/throw-mid", any(throw_mid))
        .route("/upgrade", any(upgrade))
        .route("/short-cl", any(async || with_length(10, "hello")))
        .route("/long-cl", any(async || with_length(3, "0123456789")))
        .route("/delay/{ms}", any(delay))
        .route("/path", any(path))
        .route("/path/", any(path))
        .route("/path/{*rest}", any(path))
        .route("/bad-headers", any(bad_headers))
        .route("/big-header/{n}", any(big_header))
        .route("/close/{ms}", any(close))
        .route("/connect", any(connect))
        .route("/wait-abort/{key}", any(wait_abort))
        .route("/was-aborted/{key}", any(was_aborted))
        .route("/read-some/{n}", any(read_some))
        .route("/hold/{ms}", any(hold))
        .route("/slow/{ms}", any(slow))
        .route("/own-alt-svc", any(async || ([("alt-svc", "h3=\":1\"; ma=1")], text("ok"))))
        .route("/features", any(features))
        .route("/read-outcome/{key}", any(read_outcome))
        .route("/write-outcome/{key}", any(write_outcome))
        .route("/outcome/{key}", any(outcome))
        .route("/trailers", get(trailers).head(only_get).fallback(only_get))
        .route("/request-trailers", any(request_trailers))
        .route("/trailers-only", any(trailers_only))
        .route("/trailers-throw", any(trailers_throw))
        .route("/early-trailers", any(early_trailers))
        .route("/reset/{code}", any(reset_stream))
        .route("/reset-after/{code}", any(reset_after))
        .route("/limit/{n}", any(limit))
        .route("/late-limit", any(late_limit))
        .route("/rate/{bps}/{grace}", any(rate))
        .route("/no-rate", any(no_rate))
        .route("/sync", any(sync))
        .route("/sync-allowed", any(sync_allowed))
        .route("/tls", later())
        .route("/webtransport", later())
        .fallback(without_path)
        .with_state(Notes::default())
}

async fn hello() -> impl IntoResponse {
    text("Hello World!")
}

/// The original writes it as a stream.
async fn json() -> impl IntoResponse {
    let text = r#"{"message":"Hello, World!"}"#;
    let body = written(async move |mut out| out.send_data(text.into()).await);
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body)
}

/// axum answers HEAD where it answers GET; the original does not.
async fn only_get() -> impl IntoResponse {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")])
}

async fn echo(body: Body) -> Result<Body, BadBody> {
    Ok(body.collect().await?.to_bytes().into())
}

async fn stream_echo(body: Body) -> Body {
    Body::from_stream(body.into_data_stream())
}

async fn length(body: Body) -> Result<Response, BadBody> {
    Ok(text(&drain(body).await?.to_string()))
}

async fn limit(Path(n): Path<u64>, limits: RequestLimits, body: Body) -> Result<Response, Response> {
    limits.set_max_request_body_size(n).map_err(LimitError::into_response)?;
    length(body).await.map_err(IntoResponse::into_response)
}

async fn late_limit(limits: RequestLimits, mut body: Body) -> Result<Response, BadBody> {
    if let Some(frame) = body.frame().await {
        frame?;
    }
    let said = match limits.set_max_request_body_size(1) {
        Ok(()) => "changed",
        Err(error) if error.is_too_late() => "read-only",
        Err(_) => "refused",
    };
    drain(body).await?;
    Ok(text(said))
}

async fn rate(
    Path((bps, grace)): Path<(f64, f64)>,
    limits: RequestLimits,
    body: Body,
) -> Result<Response, Response> {
    let grace = Duration::try_from_secs_f64(grace).unwrap_or_default();
    let rate = MinDataRate::new(bps, grace).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?;
    limits.set_min_request_body_data_rate(rate).map_err(LimitError::into_response)?;
    length(body).await.map_err(IntoResponse::into_response)
}

async fn no_rate(limits: RequestLimits, body: Body) -> Result<Response, Response> {
    limits.set_min_request_body_data_rate(None).map_err(LimitError::into_response)?;
    length(body).await.map_err(IntoResponse::into_response)
}

async fn info(OriginalUri(uri): OriginalUri, request: Request) -> Response {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = request.headers().get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    let (protocol, target) = match request.version() {
        Version::HTTP_10 => ("HTTP/1.0", uri.to_string()),
        Version::HTTP_2 => ("HTTP/2", uri.path_and_query().map_or_else(String::new, ToString::to_string)),
        _ => ("HTTP/1.1", uri.to_string()),
    };
    let host = host.as_deref().unwrap_or(authority);
    text(&format!("{} {target} {protocol} {host}", request.method()))
}

async fn header_value(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let values: Vec<_> =
        headers.get_all(&name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    text(&if values.is_empty() { "-".to_owned() } else { values.join(",") })
}

async fn status(Path(code): Path<u16>) -> Result<StatusCode, StatusCode> {
    StatusCode::from_u16(code).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn chunked() -> Body {
    written(async |mut out| {
        for text in ["a", "b", "c"] {
            out.send_data(text.into()).await?;
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    })
}

async fn large(Path(n): Path<usize>) -> Response {
    const FRAME: Bytes = Bytes::from_static(&[b'x'; 16 * 1024]);
    let body = written(async move |mut out| {
        let mut left = n;
        while left > 0 {
            let frame = FRAME.slice(..left.min(FRAME.len()));
            left -= frame.len();
            out.send_data(frame).await?;
        }
        Ok(())
    });
    ([(header::CONTENT_LENGTH, n)], body).into_response()
}

/// As Kestrel's `HttpContext.Abort`: the stream over HTTP/2, the connection over HTTP/1.
fn abort_request(connection: &ConnectionInfo, reset: Option<&Reset>) {
    match reset {
        Some(reset) => reset.stream(ErrorCode::INTERNAL_ERROR),
        None => connection.abort(),
    }
}

async fn abort(connection: ConnectionInfo, reset: Option<Reset>) -> StatusCode {
    abort_request(&connection, reset.as_ref());
    std::future::pending().await
}

async fn abort_mid(connection: ConnectionInfo, reset: Option<Reset>) -> Response {
    let body = written(async move |mut out| {
        out.send_data("hello".into()).await?;
        sleep(Duration::from_millis(50)).await;
        abort_request(&connection, reset.as_ref());
        connection.closed().await;
        Ok(())
    });
    ([(header::CONTENT_LENGTH, 10)], body).into_response()
}

async fn throw() -> StatusCode {
    panic!("boom")
}

async fn throw_mid() -> Body {
    written(async |mut out| {
        out.send_data("hello".into()).await?;
        sleep(Duration::from_millis(50)).await;
        out.abort("boom".into());
        Ok(())
    })
}

async fn upgrade(mut request: Request) -> Response {
    let has_body = !request.body().is_end_stream();
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>().filter(|_| !has_body) else {
        return (StatusCode::BAD_REQUEST, text("not upgradable")).into_response();
    };
    tokio::spawn(echo_tunnel(upgrade));
    let headers = [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn delay(Path(ms): Path<u64>) -> Response {
    sleep(Duration::from_millis(ms)).await;
    text("late")
}

/// The path as Kestrel shows it: decoded, but for `%2F`.
async fn path(uri: Uri) -> Response {
    let path = uri.path().replace("%2F", "%252F").replace("%2f", "%252f");
    text(&percent_decode_str(&path).decode_utf8_lossy())
}

async fn bad_headers() -> impl IntoResponse {
    let bad = ["connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection"];
    let mut headers: HeaderMap =
        bad.into_iter().map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x"))).collect();
    headers.insert("x-kept", HeaderValue::from_static("1"));
    (headers, text("ok"))
}

async fn big_header(Path(n): Path<usize>) -> impl IntoResponse {
    ([("x-big", "b".repeat(n))], text("ok"))
}

async fn close(Path(ms): Path<u64>, connection: ConnectionInfo) -> Response {
    connection.request_close();
    sleep(Duration::from_millis(ms)).await;
    text("closing")
}

/// Extended CONNECT (RFC 8441): a tunnel on a stream of HTTP/2.
async fn connect(mut request: Request) -> Response {
    let is_extended = request.extensions().get::<Protocol>().is_some();
    match request.extensions_mut().remove::<OnUpgrade>().filter(|_| is_extended) {
        Some(upgrade) => {
            tokio::spawn(echo_tunnel(upgrade));
            StatusCode::OK.into_response()
        }
        None => (StatusCode::BAD_REQUEST, text("not extended connect")).into_response(),
    }
}

async fn wait_abort(State(notes): State<Notes>, Path(key): Path<String>, aborted: RequestAborted) {
    // A task of its own: a reset drops the handler.
    let waiting = tokio::spawn(async move {
        tokio::select! {
            () = aborted.aborted() => { notes.aborted().insert(key); }
            () = sleep(Duration::from_secs(8)) => {}
        }
    });
    _ = waiting.await;
}

async fn was_aborted(State(notes): State<Notes>, Path(key): Path<String>) -> Response {
    text(if notes.aborted().remove(&key) { "yes" } else { "no" })
}

async fn read_some(Path(n): Path<usize>, mut body: Body) -> Result<Response, BadBody> {
    let mut read = 0;
    while read < n {
        let Some(frame) = body.frame().await else {
            return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        read += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(text("some"))
}

async fn hold(Path(ms): Path<u64>, body: Body) -> Result<Response, BadBody> {
    sleep(Duration::from_millis(ms)).await;
    length(body).await
}

async fn slow(Path(ms): Path<u64>) -> Body {
    written(async move |mut out| {
        out.send_data("a".into()).await?;
        sleep(Duration::from_millis(ms)).await;
        out.send_data("b".into()).await?;
        Ok(())
    })
}

async fn features(request: Request) -> Response {
    let is_http2 = request.version() == Version::HTTP_2;
    let can_have_body = !request.body().is_end_stream();
    let is_extended_connect = request.extensions().get::<Protocol>().is_some();
    let there = |is_there| if is_there { "yes" } else { "no" };
    let said = |is_so| if is_so { "True" } else { "False" };
    let lines = [
        ("reset", there(is_http2)),
        ("upgrade", there(true)),
        ("extended-connect", there(true)),
        ("request-rate", there(true)),
        ("response-rate", there(!is_http2)),
        ("request-trailers", there(true)),
        ("response-trailers", there(is_http2)),
        ("body-detection", there(true)),
        ("stream-id", there(false)),
        ("lifetime-notification", there(true)),
        ("body", said(can_have_body)),
        ("is-extended-connect", said(is_extended_connect)),
        ("is-web-transport", said(false)),
    ];
    text(&lines.map(|(name, value)| format!("{name} {value}")).join("\n"))
}

async fn read_outcome(
    State(notes): State<Notes>,
    Path(key): Path<String>,
    mut body: Body,
) -> Result<StatusCode, BadBody> {
    // A task of its own: a reset drops the handler.
    let reading = tokio::spawn(async move {
        let mut read = 0;
        let (outcome, result) = loop {
            match body.frame().await {
                Some(Ok(frame)) => read += frame.data_ref().map_or(0, Bytes::len),
                None => break (read.to_string(), Ok(StatusCode::OK)),
                Some(Err(error)) => {
                    let error = BadBody(error);
                    let why = if error.is_abort() {
                        "aborted".to_owned()
                    } else {
                        error.status().as_u16().to_string()
                    };
                    break (format!("{read} then {why}"), Err(error));
                }
            }
        };
        notes.outcomes().insert(key, outcome);
        result
    });
    reading.await.unwrap_or(Ok(StatusCode::INTERNAL_SERVER_ERROR))
}

async fn write_outcome(State(notes): State<Notes>, Path(key): Path<String>) -> Body {
    const FRAME: Bytes = Bytes::from_static(&[0; 16 * 1024]);
    written(async move |mut out| {
        let mut written = 0;
        let mut outcome = "all";
        while written < 4_000_000 {
            if out.send_data(FRAME).await.is_err() {
                outcome = "aborted";
                break;
            }
            written += FRAME.len();
        }
        notes.outcomes().insert(key, outcome.to_owned());
        Ok(())
    })
}

async fn outcome(State(notes): State<Notes>, Path(key): Path<String>) -> Response {
    text(notes.outcomes().remove(&key).as_deref().unwrap_or("-"))
}

/// What handlers leave for a later request to ask about.
#[derive(Clone, Default)]
struct Notes {
    aborted: Arc<Mutex<HashSet<String>>>,
    outcomes: Arc<Mutex<HashMap<String, String>>>,
}

impl Notes {
    fn aborted(&self) -> MutexGuard<'_, HashSet<String>> {
        self.aborted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcomes(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request body that could not be read to its end: 413 where it is too large, else 400.
struct BadBody(axum::Error);

impl BadBody {
    fn status(&self) -> StatusCode {
        let too_large = self.sources().any(<dyn StdError>::is::<LengthLimitError>);
        if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
    }

    /// Whether the client went away, which is no fault of the request.
    fn is_abort(&self) -> bool {
        self.sources().any(|source| {
            let hyper = source.downcast_ref::<hyper::Error>();
            source.is::<std::io::Error>()
                || hyper.is_some_and(|error| error.is_canceled() || error.is_closed())
        })
    }

    fn sources(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(Some(&self.0 as &(dyn StdError + 'static)), |&error| error.source())
    }
}

impl From<axum::Error> for BadBody {
    fn from(error: axum::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for BadBody {
    fn into_response(self) -> Response {
        self.status().into_response()
    }
}

/// `text/plain` in Latin-1, as the original sends it.
fn text(text: &str) -> Response {
    let octets: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
    ([(header::CONTENT_TYPE, "text/plain")], octets).into_response()
}

/// A body that says it has `length` octets, whatever it has.
fn with_length(length: usize, body: &'static str) -> impl IntoResponse {
    let body = written(async move |mut out| out.send_data(body.into()).await);
    ([(header::CONTENT_LENGTH, length)], body)
}

/// A body that `write` writes while it is sent, and not ahead of the client.
fn written<F>(write: impl FnOnce(Sender<Bytes, BoxError>) -> F) -> Body
where
    F: Future<Output = Result<(), SendError>> + Send + 'static,
{
    let (out, body) = Channel::new(1);
    tokio::spawn(write(out)); // its error: the client went away
    Body::new(body)
}

async fn drain(mut body: Body) -> Result<usize, axum::Error> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

/// Sends back what comes until it ends.
async fn echo_tunnel(upgrade: OnUpgrade) {
    if let Ok(tunnel) = upgrade.await {
        let (mut from, mut to) = tokio::io::split(TokioIo::new(tunnel));
        _ = tokio::io::copy(&mut from, &mut to).await;
    }
}

async fn trailers(trailers: ResponseTrailers) -> Result<Body, TrailersError> {
    if trailers.supported() {
        trailers.declare("x-checksum")?;
    }
    Ok(written(async move |mut out| {
        out.send_data("hello".into()).await?;
        if trailers.supported() {
            _ = trailers.append("x-checksum", "abc"); // its error: the client went away
        }
        Ok(())
    }))
}

async fn request_trailers(trailers: RequestTrailers, body: Body) -> Result<Response, BadBody> {
    drain(body).await?;
    let mut lines: Vec<_> = trailers.get().map_or_else(
        |_| vec!["none".to_owned()],
        |trailers| {
            let line = |name: &HeaderName| {
                let values = trailers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
                format!("{name}={}", values.collect::<Vec<_>>().join(","))
            };
            trailers.keys().map(line).collect()
        },
    );
    lines.sort_unstable();
    Ok(text(&lines.join("\n")))
}

async fn trailers_only(trailers: ResponseTrailers) -> Result<(), TrailersError> {
    if trailers.supported() { trailers.append("x-checksum", "abc") } else { Ok(()) }
}

async fn trailers_throw(trailers: ResponseTrailers) -> StatusCode {
    _ = trailers.append("x-checksum", "abc");
    panic!("boom")
}

async fn early_trailers(trailers: RequestTrailers, body: Body) -> Result<Response, BadBody> {
    let said = trailers.get().map_or_else(|_| "refused".to_owned(), |trailers| trailers.len().to_string());
    drain(body).await?;
    Ok(text(&said))
}

async fn reset_stream(Path(code): Path<u32>, reset: Option<Reset>) -> Response {
    match reset {
        Some(reset) => {
            reset.stream(code);
            StatusCode::OK.into_response() // not sent
        }
        None => text("no reset"),
    }
}

/// Over HTTP/2 the reset comes in place of the body's end: there is no stream to reset after it.
async fn reset_after(Path(code): Path<u32>, reset: Option<Reset>) -> Response {
    let Some(reset) = reset else { return text("done") };
    let body = written(async move |mut out| {
        out.send_data("done".into()).await?;
        sleep(Duration::from_millis(50)).await;
        reset.stream(code);
        out.send_data(Bytes::new()).await // the body has no other end
    });
    ([(header::CONTENT_TYPE, "text/plain"), (header::CONTENT_LENGTH, "4")], body).into_response()
}

async fn sync(io: SynchronousIo, body: Body) -> Result<Response, SynchronousIoError> {
    let read = io.read(body, |reader| std::io::copy(reader, &mut std::io::sink())).await?;
    Ok(read.map_or_else(|_| StatusCode::BAD_REQUEST.into_response(), |read| text(&read.to_string())))
}

async fn sync_allowed(io: SynchronousIo, body: Body) -> Result<Response, SynchronousIoError> {
    io.allow();
    sync(io, body).await
}
