//! Answers that cannot be sent as the handler made them.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use futures_util::{StreamExt, stream};
use kestrel_rs::test::TestServer;

async fn exchange(app: Router, request: &str) -> String {
    let server = TestServer::new(app);
    let mut connection = server.connect().await.unwrap();
    connection.send(request).await.unwrap();
    connection.read_to_end().await.unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_at_once_is_a_500() {
    async fn handler() -> Body {
        Body::from_stream(stream::once(async { if true { panic!("boom") } else { Ok::<_, String>("") } }))
    }
    let answer = exchange(Router::new().route("/", get(handler)), GET).await;
    assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_later_is_cut_behind_what_it_gave() {
    async fn handler() -> Body {
        let late = stream::once(async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            if true { panic!("boom") } else { Ok::<_, String>("") }
        });
        Body::from_stream(stream::once(async { Ok("hello") }).chain(late))
    }
    let answer = exchange(Router::new().route("/", get(handler)), GET).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n5\r\nhello\r\n"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_a_malformed_body_is_a_400() {
    let app = Router::new().route("/", post(|request: Request| async { request.into_body() }));
    let request = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let answer = exchange(app, request).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn what_hyper_does_not_send_is_a_500() {
    async fn interim() -> StatusCode {
        StatusCode::PROCESSING
    }
    async fn no_number() -> Response {
        ([(header::CONTENT_LENGTH, "five")], "hello").into_response()
    }
    async fn too_long() -> Response {
        ([(header::CONTENT_LENGTH, "4")], "hello").into_response()
    }
    for app in [get(interim), get(no_number), get(too_long)] {
        let answer = exchange(Router::new().route("/", app), GET).await;
        assert!(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answer}");
        assert!(answer.contains("server: kestrel-rs\r\n"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_coding_of_the_handler_is_named_once_and_the_server_frames() {
    async fn handler() -> Response {
        ([(header::TRANSFER_ENCODING, "gzip")], "hello").into_response()
    }
    let app = Router::new().route("/", get(handler));
    let answer = exchange(app.clone(), GET).await;
    assert!(answer.contains("transfer-encoding: gzip, chunked\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{answer}");

    let answer = exchange(app, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(!answer.contains("transfer-encoding"), "HTTP/1.0 has none: {answer}");
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn connection_options_without_keep_alive_end_the_connection() {
    const TWICE: &str =
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (options, answers) in
        [("x", 1), ("upgrade", 1), ("x, close", 1), ("Keep-Alive", 2), ("x, keep-alive", 2)]
    {
        let handler = move || async move { [(header::CONNECTION, options)] };
        let answer = exchange(Router::new().route("/", get(handler)), TWICE).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), answers, "{answer}");
        assert_eq!(answer.matches("close\r\n").count(), 1, "the end is announced: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_says_its_length_over_http2_too() {
    let server = TestServer::new(Router::new());
    let request = Request::get("/").version(Version::HTTP_2).body(Body::empty()).unwrap();
    let answer = server.request(request).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()[header::CONTENT_LENGTH]),
        (StatusCode::NOT_FOUND, &"0".parse().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn headers_of_a_connection_do_not_reach_http2() {
    async fn handler() -> Response {
        let headers = [
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("x-other", "1"),
        ];
        (headers, Bytes::from_static(b"hello")).into_response()
    }
    let server = TestServer::new(Router::new().route("/", any(handler)));
    let request = Request::get("/").version(Version::HTTP_2).body(Body::empty()).unwrap();
    let answer = server.request(request).await.unwrap();
    assert_eq!(answer.body(), "hello");
    for name in ["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(answer.headers()["x-other"], "1");
}

/// A load balancer that asks by HEAD is told what GET would be told.
#[tokio::test(start_paused = true)]
async fn head_has_the_status_of_get_and_no_body() {
    async fn handler(axum::extract::Path(status): axum::extract::Path<u16>) -> Response {
        (StatusCode::from_u16(status).unwrap(), "fine").into_response()
    }
    let server = TestServer::new(Router::new().route("/{status}", get(handler)));
    for status in [200_u16, 202, 203, 204, 205, 206, 304, 404, 500] {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let ask = |method| {
                let request = Request::builder().method(method).uri(format!("/{status}")).version(version);
                server.request(request.body(Body::empty()).unwrap())
            };
            let (get, head) = (ask("GET").await.unwrap(), ask("HEAD").await.unwrap());
            assert_eq!((get.status(), head.status()), (head.status(), get.status()), "{status} {version:?}");
            assert_eq!(get.status().as_u16(), status, "{version:?}");
            assert_eq!(head.body(), "", "{status} {version:?}");
            let has_body = !matches!(status, 204 | 205 | 304);
            assert_eq!(get.body() == "fine", has_body, "{status} {version:?}");
            // A 304 may say the length that the answer would have had (RFC 9110 section 8.6).
            if status != 304 {
                let length = has_body.then(|| "4".parse().unwrap());
                assert_eq!(
                    head.headers().get(header::CONTENT_LENGTH),
                    length.as_ref(),
                    "{status} {version:?}"
                );
            }
        }
    }
}
