//! The listener under `axum::serve`: every guard of a connection is on.

use std::io::ErrorKind;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::routing::{any, get, post};
use http::Request;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{ConnectionInfo, Limits, MinDataRate, Protocols};
use tokio::time::Instant;

use crate::support::{
    GET, HOUR, UPGRADE, answer, app, channel_body, closed, exchange, octets, quiet, secs, took, until,
};

async fn connect(server: &TestServer) -> TestConnection {
    server.connect().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn serves_both_versions_and_says_who_the_client_is() {
    async fn who(ConnectInfo(connection): ConnectInfo<ConnectionInfo>) -> String {
        connection.remote_addr().unwrap().to_string()
    }
    let server = TestServer::builder(Router::new().route("/", get(who))).start_under_axum();
    assert_eq!(server.get("/").await.unwrap().body(), "127.0.0.1:49152");
    let request = Request::get("/").version(http::Version::HTTP_2).body(Body::empty()).unwrap();
    assert_eq!(server.request(request).await.unwrap().body(), "127.0.0.1:49152");
}

#[tokio::test(start_paused = true)]
async fn refuses_bad_heads_and_finishes_what_came_before() {
    let server = TestServer::builder(app()).protocols(Protocols::HTTP1).start_under_axum();
    for (head, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\n", 405),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (&format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000)), 414),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), 431),
    ] {
        let mut client = connect(&server).await;
        client.send(format!("{GET}{head}{GET}")).await.unwrap();
        assert_eq!(answer(&mut client).await.status, 200, "{head}");
        let refusal = answer(&mut client).await;
        assert_eq!((refusal.status, refusal.closes()), (status, true), "{head}");
        closed(&mut client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_the_host_that_it_cannot_replace() {
    let limits = Limits::default().allow_host_header_override();
    let server = TestServer::builder(app()).limits(limits).start_under_axum();
    let mut client = connect(&server).await;
    client.send("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert_eq!(answer(&mut client).await.status, 400);
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_work_is_finished_before_a_refusal() {
    let (sender, body) = channel_body();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let stream = any(move || async move { body.lock().unwrap().take().unwrap() });
    let server = TestServer::builder(Router::new().route("/stream", stream)).start_under_axum();
    let mut client = connect(&server).await;
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\nbad\r\n\r\n").await.unwrap();
    for word in ["one", "two"] {
        sender.send(Ok(Bytes::from_static(word.as_bytes()))).await.unwrap();
        assert!(until(&mut client, word).await.ends_with(word));
        tokio::time::sleep(HOUR).await;
    }
    drop(sender);
    assert!(until(&mut client, "0\r\n\r\n").await.ends_with("0\r\n\r\n"));
    assert_eq!(answer(&mut client).await.status, 400);
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_us_waiting_is_let_go() {
    let server = TestServer::builder(app()).start_under_axum();
    let start = Instant::now();
    closed(&mut connect(&server).await).await;
    took(start, 130);

    let start = Instant::now();
    let mut client = connect(&server).await;
    client.send("GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert_eq!(answer(&mut client).await.status, 408);
    closed(&mut client).await;
    took(start, 30);

    let mut client = connect(&server).await;
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    let start = Instant::now();
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_all_the_time() {
    let slow = get(|| async {
        tokio::time::sleep(HOUR).await;
        "late"
    });
    let server = TestServer::builder(Router::new().route("/", slow)).start_under_axum();
    let mut client = connect(&server).await;
    assert_eq!(exchange(&mut client, GET).await.body, "late");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_take_its_answer_is_reset() {
    let rate = MinDataRate::new(1_000_000.0, secs(5)).unwrap();
    let large = get(|| async { vec![b'x'; 10_000_000] });
    let server = TestServer::builder(Router::new().route("/", large))
        .limits(Limits::default().min_response_data_rate(rate))
        .start_under_axum();
    let mut client = connect(&server).await;
    client.send(GET).await.unwrap();
    tokio::time::sleep(secs(60)).await;
    // What the transport holds can be read; what comes then is the reset.
    assert_eq!(client.read_to_end().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn bodies_pass_and_bad_ones_break_off() {
    let echo = post(|body: Bytes| async move { body });
    let server = TestServer::builder(Router::new().route("/", echo)).start_under_axum();
    let mut client = connect(&server).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let good = exchange(&mut client, format!("{head}5;a=b\r\nhello\r\n0\r\n\r\n")).await;
    assert_eq!((good.status, good.body.as_str()), (200, "hello"));
    let bad = exchange(&mut client, format!("{head}5\r\nhelloworld\r\n")).await;
    assert_eq!(bad.status, 400);
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_makes_a_tunnel_that_nobody_times_out() {
    let limits = Limits::default().max_concurrent_connections(1);
    let server = TestServer::builder(app()).limits(limits).start_under_axum();
    let mut client = connect(&server).await;
    client.send(format!("{UPGRADE}early")).await.unwrap();
    assert_eq!(answer(&mut client).await.status, 101);
    assert_eq!(octets(&mut client, 5).await, "early");
    quiet(&mut client, HOUR).await;
    // It counts no more against the limit.
    assert_eq!(server.get("/").await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn over_the_limit_nothing_is_sent() {
    let limits = Limits::default().max_concurrent_connections(1);
    let server = TestServer::builder(app()).limits(limits).start_under_axum();
    let mut first = connect(&server).await;
    assert_eq!(exchange(&mut first, GET).await.status, 200);
    closed(&mut connect(&server).await).await;
    drop(first);
    tokio::time::sleep(secs(1)).await;
    assert_eq!(server.get("/").await.unwrap().status(), 200);
}
