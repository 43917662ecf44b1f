//! 103 Early Hints, in front of an answer.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use kestrel_rs::EarlyHints;
use kestrel_rs::test::TestServer;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::frames::h2_client;
use crate::support::{secs, until};

async fn page(hints: EarlyHints) -> String {
    assert!(hints.link("</a.css>; rel=preload; as=style"));
    tokio::time::sleep(secs(1)).await;
    assert!(hints.link("</b.css>; rel=preload; as=style"));
    assert!(!hints.link("no\nvalue"));
    tokio::spawn(async move {
        tokio::time::sleep(secs(1)).await;
        assert!(!hints.link("</late.css>; rel=preload"), "the answer has begun");
    });
    "page".to_owned()
}

/// What frames a message is the server's.
async fn frames(hints: EarlyHints) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in [("link", "</c>"), ("content-length", "5"), ("connection", "close"), ("x-a", "1")] {
        headers.append(name, HeaderValue::from_static(value));
    }
    assert!(hints.send(headers));
    "page".to_owned()
}

fn server() -> TestServer {
    TestServer::new(Router::new().route("/", get(page)).route("/frames", get(frames)))
}

#[tokio::test(start_paused = true)]
async fn they_leave_at_once_over_http1() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let start = Instant::now();
    for (link, seconds) in [("</a.css>; rel=preload; as=style", 0), ("</b.css>; rel=preload; as=style", 1)] {
        let hints = until(&mut connection, "\r\n\r\n").await;
        assert_eq!(hints, format!("HTTP/1.1 103 Early Hints\r\nlink: {link}\r\n\r\n"));
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
    let answer = until(&mut connection, "page").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    tokio::time::sleep(secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn they_frame_nothing() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send("GET /frames HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let hints = until(&mut connection, "\r\n\r\n").await;
    assert_eq!(hints, "HTTP/1.1 103 Early Hints\r\nlink: </c>\r\nx-a: 1\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_has_none() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send("GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn they_leave_at_once_over_http2() {
    let server = server();
    let mut client = h2_client(&server).await;
    let request = Request::get("http://a/").version(http::Version::HTTP_2).body(()).unwrap();
    let (mut response, _) = client.send_request(request, true).unwrap();
    let start = Instant::now();
    for (link, seconds) in [("</a.css>; rel=preload; as=style", 0), ("</b.css>; rel=preload; as=style", 1)] {
        let hints = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(
            (hints.status(), hints.headers()["link"].to_str().unwrap()),
            (StatusCode::EARLY_HINTS, link)
        );
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);
    tokio::time::sleep(secs(2)).await;
}

#[tokio::test]
async fn under_another_server_there_are_none() {
    let app = Router::new().route("/", get(async |hints: Option<EarlyHints>| hints.is_none().to_string()));
    let Ok(response) = app.oneshot(Request::new(Body::empty())).await;
    assert_eq!(crate::support::read_body(response.into_body()).await.unwrap(), "true");
}
