//! The answer to a request whose body failed: what the app and its layers said stays, and the limit is logged.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use kestrel_rs::Limits;
use kestrel_rs::test::TestServer;
use tokio::time::sleep;
use tracing::Level;

use crate::support::{Events, channel_body};

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

fn server() -> TestServer {
    let words = async |body: Body| match body.collect().await {
        Ok(_) => "read".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("own: {error}")).into_response(),
    };
    let streams = async |body: Body| {
        let failed = body.collect().await.map(|_| Bytes::new());
        let headers = [("content-type", "text/x"), ("etag", "\"e\"")];
        (headers, Body::from_stream(futures_util::stream::iter([failed])))
    };
    let panics = async |body: Body| {
        body.collect().await.unwrap();
    };
    let named = async |mut response: Response| {
        response.headers_mut().insert("x-request-id", http::HeaderValue::from_static("7"));
        response.headers_mut().insert("access-control-allow-origin", http::HeaderValue::from_static("*"));
        response
    };
    let app = Router::new()
        .route("/words", post(words))
        .route("/panics", post(panics))
        .route("/extracts", post(async |body: Bytes| body))
        .route("/stream", post(streams))
        .route("/unread", post(async || "answer"))
        .layer(map_response(named));
    TestServer::builder(app).limits(Limits::default().max_request_body_size(10)).start()
}

fn request(version: Version, path: &str, body: Body) -> Request<Body> {
    Request::post(path).version(version).body(body).unwrap()
}

/// Those of the limit: status and reason.
fn struck(events: &Events) -> Vec<(Level, String)> {
    events.take().into_iter().filter(|(_, event)| event.contains("bad request")).collect()
}

#[track_caller]
fn has_headers_of_layers(response: &http::Response<Bytes>) {
    assert_eq!(response.headers()["x-request-id"], "7", "{response:?}");
    assert_eq!(response.headers()["access-control-allow-origin"], "*", "{response:?}");
    let closes = response.headers().get("connection").is_some_and(|value| value == "close");
    assert_eq!(closes, response.version() == Version::HTTP_11, "{response:?}");
}

#[tokio::test(start_paused = true)]
async fn a_413_keeps_what_the_app_and_its_layers_said() {
    for version in BOTH {
        for (path, body) in [("/words", "own: "), ("/extracts", "Failed to buffer"), ("/stream", "")] {
            let events = Events::record();
            let large = Body::from("more than ten");
            let response = server().request(request(version, path, large)).await.unwrap();
            assert_eq!(response.status(), 413, "{version:?} {path}");
            has_headers_of_layers(&response);
            let text = String::from_utf8_lossy(response.body()).into_owned();
            assert!(text.starts_with(body) && text.is_empty() == body.is_empty(), "{path}: {text}");
            if path == "/stream" {
                assert!(!response.headers().contains_key("etag"), "of a body that is not there");
                assert!(!response.headers().contains_key("content-type"));
            }
            let struck = struck(&events);
            assert_eq!(struck.len(), 1, "{struck:?}");
            assert_eq!(struck[0].0, Level::DEBUG);
            assert!(struck[0].1.contains("status=413"), "{struck:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_408_keeps_what_the_app_and_its_layers_said() {
    for version in BOTH {
        for (path, body) in [("/words", "own: "), ("/extracts", "Failed to buffer"), ("/stream", "")] {
            let events = Events::record();
            let (sender, slow) = channel_body();
            let response = server().request(request(version, path, slow)).await.unwrap();
            assert_eq!(response.status(), 408, "{version:?} {path}");
            drop(sender);
            has_headers_of_layers(&response);
            assert!(response.body().starts_with(body.as_bytes()), "{path}: {response:?}");
            assert_eq!(response.body().is_empty(), body.is_empty(), "{path}: {response:?}");
            let struck = struck(&events);
            assert_eq!(struck.len(), 1, "{struck:?}");
            assert!(struck[0].0 == Level::DEBUG && struck[0].1.contains("status=408"), "{struck:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_over_a_failed_body_is_what_the_body_failed_by() {
    for version in BOTH {
        let response = server().request(request(version, "/panics", "more than ten".into())).await.unwrap();
        assert_eq!((response.status(), response.body()), (StatusCode::PAYLOAD_TOO_LARGE, &Bytes::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_and_unread_is_an_event_too() {
    let events = Events::record();
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send("POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").await.unwrap();
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.ends_with("answer"), "{answer}");
    sleep(Duration::from_secs(1)).await;
    let struck = struck(&events);
    assert_eq!(struck.len(), 1, "{struck:?}");
    assert!(struck[0].1.contains("status=413"), "{struck:?}");
}
