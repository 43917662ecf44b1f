//! Trailers on the wire.

use axum::body::{Body, Bytes};
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::channel::Channel;
use kestrel_rs::request::TrailersError;
use kestrel_rs::test::TestServer;
use kestrel_rs::{RequestTrailers, ResponseTrailers};

use crate::frames::h2_client;

fn server() -> TestServer {
    TestServer::new(
        Router::new()
            .route("/trailers", get(trailers))
            .route("/exact", get(exact))
            .route("/trailers-only", get(trailers_only))
            .route("/throw", get(throw))
            .route("/echo", any(echo))
            .route("/json", post(async |trailers: RequestTrailers, _: Json<u8>| said(&trailers))),
    )
}

/// A body that is written while it is sent.
async fn trailers(trailers: ResponseTrailers) -> Result<Body, TrailersError> {
    if trailers.supported() {
        trailers.declare("x-checksum")?;
    }
    let (mut out, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        out.send_data("hello".into()).await.unwrap();
        if trailers.supported() {
            trailers.append("x-checksum", "abc").unwrap();
        }
    });
    Ok(Body::new(body))
}

/// A body of a known length.
async fn exact(trailers: ResponseTrailers) -> Result<&'static str, TrailersError> {
    trailers.append("x-checksum", "abc")?;
    Ok("hello")
}

async fn trailers_only(trailers: ResponseTrailers) -> Result<(), TrailersError> {
    trailers.append("x-checksum", "abc")
}

async fn throw(trailers: ResponseTrailers) -> StatusCode {
    trailers.append("x-checksum", "abc").unwrap();
    panic!("boom")
}

async fn echo(trailers: RequestTrailers, _: Bytes) -> impl IntoResponse {
    said(&trailers)
}

fn said(trailers: &RequestTrailers) -> String {
    let lines =
        trailers.get().unwrap().iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What the server answers to these octets over HTTP/1.
async fn http1(request: &str) -> String {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send(request).await.unwrap();
    connection.read_to_end().await.unwrap()
}

/// The head, the body and the trailers of the answer over HTTP/2.
async fn http2(
    request: Request<()>,
    body: &'static str,
    trailers: Option<HeaderMap>,
) -> (Response<()>, Vec<u8>, Option<HeaderMap>) {
    let server = server();
    let mut client = h2_client(&server).await;
    let empty = body.is_empty() && trailers.is_none();
    let (response, mut stream) = client.send_request(request, empty).unwrap();
    if !empty {
        stream.send_data(body.into(), trailers.is_none()).unwrap();
        if let Some(trailers) = trailers {
            stream.send_trailers(trailers).unwrap();
        }
    }
    let (head, mut answer) = response.await.unwrap().into_parts();
    let mut octets = Vec::new();
    while let Some(data) = answer.data().await {
        octets.extend_from_slice(&data.unwrap());
    }
    let trailers = answer.trailers().await.unwrap();
    (Response::from_parts(head, ()), octets, trailers)
}

fn to(path: &str) -> Request<()> {
    Request::get(format!("http://localhost{path}")).body(()).unwrap()
}

#[tokio::test]
async fn http1_sends_them_to_a_client_that_takes_them() {
    for path in ["/trailers", "/exact"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n");
        let answer = http1(&request).await;
        assert!(answer.contains("trailer: x-checksum\r\n"), "{answer}");
        assert!(answer.contains("transfer-encoding: chunked\r\n"), "{answer}");
        assert!(!answer.contains("content-length"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn http1_sends_them_without_a_body_too() {
    let answer =
        http1("GET /trailers-only HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\n0\r\nx-checksum: abc\r\n\r\n"), "{answer}");
}

/// As recorded: `response.trailers-no-te`, `response.trailers-http10`.
#[tokio::test]
async fn http1_sends_none_to_a_client_that_does_not_ask() {
    let answer = http1("GET /trailers HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(!answer.contains("trailer"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{answer}");
    let answer = http1("GET /trailers HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n").await;
    assert!(!answer.contains("trailer"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[tokio::test]
async fn http1_answers_head_without_trailers() {
    let answer = http1("HEAD /exact HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(!answer.contains("trailer"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

/// As recorded: `trailers.response-throw`.
#[tokio::test]
async fn a_panic_clears_them() {
    let answer = http1("GET /throw HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
    assert!(!answer.contains("x-checksum"), "{answer}");
    let (head, body, trailers) = http2(to("/throw"), "", None).await;
    assert_eq!((head.status(), body.len(), trailers), (StatusCode::INTERNAL_SERVER_ERROR, 0, None));
}

/// As recorded: `trailers.response`.
#[tokio::test]
async fn http2_sends_them() {
    let (head, body, trailers) = http2(to("/trailers"), "", None).await;
    assert_eq!(head.headers()["trailer"], "x-checksum");
    assert_eq!(body, b"hello");
    assert_eq!(trailers.unwrap()["x-checksum"], "abc");

    let (head, body, trailers) = http2(to("/exact"), "", None).await;
    assert_eq!(head.headers()["content-length"], "5");
    assert_eq!(body, b"hello");
    assert_eq!(trailers.unwrap()["x-checksum"], "abc");
}

/// As recorded: `trailers.response-no-body`.
#[tokio::test]
async fn http2_sends_them_without_a_body_too() {
    let (head, body, trailers) = http2(to("/trailers-only"), "", None).await;
    assert_eq!(head.headers()["content-length"], "0");
    assert!(!head.headers().contains_key("trailer"));
    assert!(body.is_empty());
    assert_eq!(trailers.unwrap()["x-checksum"], "abc");
}

/// As recorded: `chunked.trailers`, `chunked.trailer-forbidden`.
#[tokio::test]
async fn http1_gives_the_requests_after_an_extractor_has_read_the_body() {
    let answer = http1(
        "POST /json HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n1\r\n7\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    let mut lines: Vec<_> = answer.split("\r\n\r\n").nth(1).unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["content-length=9", "x-t=1"], "{answer}");
}

#[tokio::test]
async fn a_body_of_a_known_length_has_none() {
    let answer =
        http1("POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = http1("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

/// As recorded: `trailers.request`.
#[tokio::test]
async fn http2_gives_the_requests() {
    let sent = HeaderMap::from_iter([("x-t".parse().unwrap(), "1".parse().unwrap())]);
    let request = Request::post("http://localhost/echo").body(()).unwrap();
    let (_, body, _) = http2(request, "hello", Some(sent)).await;
    assert_eq!(body, b"x-t=1");
}
