//! Bodies that nobody reads: thrown away so that the connection goes on, and no further than a body may be.

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use kestrel_rs::request::MaxRequestBodySizeLayer;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{Limits, Protocols};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Events, GET, answer, exchange, read_body, secs, until};

const MEGABYTE: usize = 1_000_000;

/// What is read beside, so that the client can know of the answer, with the connection's buffers.
const ON_ITS_WAY: usize = 1_500_000;

fn server() -> TestServer {
    let app = Router::new()
        .route("/", get(async || "hello"))
        .route("/unread", post(async || "answer"))
        .route("/large", post(async || "answer").layer(MaxRequestBodySizeLayer::new(3 * MEGABYTE as u64)))
        .route(
            "/some",
            post(async |body: axum::body::Body| {
                use http_body_util::BodyExt as _;
                let mut body = body;
                body.frame().await.unwrap().unwrap();
                "answer"
            }),
        );
    let limits = Limits::default().max_request_body_size(MEGABYTE as u64);
    TestServer::builder(app).limits(limits).protocols(Protocols::HTTP1).start()
}

/// Sends one piece again and again until the server takes no more; how many octets it took.
async fn flood(client: &mut TestConnection, piece: &str) -> usize {
    let mut sent = 0;
    while client.send(piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 20 * MEGABYTE, "the server takes all that comes");
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_chunked_body_is_thrown_away_up_to_the_largest_body() {
    // Nearly all data, and nearly all framing.
    for chunk in [format!("10000\r\n{}\r\n", "z".repeat(65536)), "1\r\nz\r\n".repeat(1000)] {
        for (path, limit) in [("/unread", MEGABYTE), ("/some", MEGABYTE), ("/large", 3 * MEGABYTE)] {
            let events = Events::record();
            let server = server();
            let mut client = server.connect().await.unwrap();
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
            assert_eq!(exchange(&mut client, head).await.status, 200);
            let sent = flood(&mut client, &chunk).await;
            assert!(sent > limit - 2 * chunk.len() && sent < limit + ON_ITS_WAY, "{path}: {sent}");
            let events = events.take();
            let refused = events.iter().filter(|(_, event)| event.contains("status=413"));
            assert_eq!(refused.count(), 1, "{path} {:?}: {events:?}", &chunk[..10]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_the_last_words_is_thrown_away_up_to_the_largest_body() {
    for request in [
        "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n",
        "POST /unread HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET nonsense\r\n\r\n",
    ] {
        let server = server();
        let mut client = server.connect().await.unwrap();
        client.send(request).await.unwrap();
        let status = answer(&mut client).await.status;
        assert!(matches!(status, 200 | 400), "{status}");
        let sent = flood(&mut client, &format!("10000\r\n{}\r\n", "z".repeat(65536))).await;
        assert!(sent < 2 * MEGABYTE, "{request:?}: {sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_too_large_costs_no_connection() {
    let server = server();
    let mut client = server.connect().await.unwrap();
    for path in ["/unread", "/some"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n");
        assert_eq!(exchange(&mut client, head).await.status, 200);
        let chunk = format!("10000\r\n{}\r\n", "z".repeat(65536));
        client.send(chunk.repeat(MEGABYTE / chunk.len() - 1) + "0\r\n\r\n").await.unwrap();
        assert_eq!(exchange(&mut client, GET).await.body, "hello");
    }
}

/// What has come waits for a handler that is busy, up to `max_request_buffer_size`.
#[tokio::test(start_paused = true)]
async fn a_body_waits_for_its_reader_up_to_the_buffers_size() {
    async fn late(body: Body) -> String {
        tokio::time::sleep(secs(10)).await;
        read_body(body).await.unwrap().len().to_string()
    }
    for (size, taken) in [(Some(100_000), 100_000..200_000), (Some(1 << 20), 1_000_000..1_000_001)] {
        let limits = Limits::default().max_request_buffer_size(size);
        let server = TestServer::builder(Router::new().route("/", post(late))).limits(limits).start();
        let (mut reader, mut writer) = tokio::io::split(server.connect().await.unwrap());
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        writer.write_all(head.as_bytes()).await.unwrap();
        let mut sent = 0;
        while let Ok(written) = tokio::time::timeout(secs(1), writer.write_all(&[b'a'; 1000])).await {
            written.unwrap();
            sent += 1000;
            if sent == 1_000_000 {
                break;
            }
        }
        assert!(taken.contains(&sent), "{sent} of {size:?}");
        while sent < 1_000_000 {
            writer.write_all(&[b'a'; 1000]).await.unwrap();
            sent += 1000;
        }
        let answer = until(&mut reader, "1000000").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
}
