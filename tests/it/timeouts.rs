//! Slow and silent clients, each cut in time; good ones, never.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{ConnectionInfo, Limits, MinDataRate, Protocols};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::{
    Answer, END, GET, GET_BLOCK, GOAWAY, HEADERS, HOUR, SETTINGS, UPGRADE, answer, app, channel_body, closed,
    exchange, frame, frames, http2_start, octets, quiet, reset, secs, soon, took, until,
};

async fn connect() -> TestConnection {
    client_of(TestServer::new(app())).await
}

/// A connection to a server that lives as long as the test.
async fn client_of(server: TestServer) -> TestConnection {
    let connection = server.connect().await.unwrap();
    std::mem::forget(server);
    connection
}

#[track_caller]
fn is_408(answer: &Answer) {
    assert_eq!(answer.status, 408, "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    assert_eq!(answer.header("content-length"), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_leaves_its_task_no_budget_does_not_stop_the_clock() {
    let spends = async || {
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::consume_budget().await;
        }
    };
    let mut client = client_of(TestServer::new(Router::new().route("/", get(spends)))).await;
    let start = Instant::now();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_closed_with_nothing_sent() {
    let mut client = connect().await;
    let start = Instant::now();
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn empty_lines_are_no_request() {
    let mut client = connect().await;
    let start = Instant::now();
    client.send("\r\n\r\n").await.unwrap();
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn part_of_a_head_is_answered_with_408_in_time() {
    for part in [
        "G",
        "GET / HTTP/1.1",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
        "P",
        "PRI * HT",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n",
        "\r\nG",
    ] {
        let mut client = connect().await;
        let start = Instant::now();
        let answer = exchange(&mut client, part).await;
        took(start, 30);
        is_408(&answer);
        closed(&mut client).await;
        took(start, 30);
    }
}

#[tokio::test(start_paused = true)]
async fn part_of_a_preface_gets_a_goaway_where_only_http2_is_spoken() {
    for part in ["P", "PRI * HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n"] {
        let server = TestServer::builder(app()).protocols(Protocols::HTTP2).start();
        let mut client = server.connect().await.unwrap();
        let start = Instant::now();
        client.send(part).await.unwrap();
        let frames = frames(&mut client).await;
        assert!(
            matches!(&frames[..], [frame] if frame.kind == GOAWAY && frame.payload == [0; 8]),
            "{frames:?}"
        );
        took(start, 130);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_given_no_more_time() {
    let mut client = connect().await;
    let start = Instant::now();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(100));
    for octet in head.as_bytes().chunks(1).take(29) {
        client.send(octet).await.unwrap();
        sleep(secs(1)).await;
    }
    is_408(&answer(&mut client).await);
    took(start, 30);
}

#[tokio::test(start_paused = true)]
async fn the_headers_timeout_can_be_set_and_taken_away() {
    let server =
        TestServer::builder(app()).limits(Limits::default().request_headers_timeout(secs(3))).start();
    let mut client = server.connect().await.unwrap();
    let start = Instant::now();
    is_408(&exchange(&mut client, "G").await);
    took(start, 3);

    let limits = Limits::default().request_headers_timeout(None).keep_alive_timeout(None);
    let server = TestServer::builder(app()).limits(limits).start();
    let mut client = server.connect().await.unwrap();
    quiet(&mut client, HOUR).await;
    client.send(&GET[..10]).await.unwrap();
    quiet(&mut client, HOUR).await;
    assert_eq!(exchange(&mut client, &GET[10..]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_second_head_has_its_own_time() {
    let mut client = connect().await;
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    sleep(secs(100)).await;
    let start = Instant::now();
    is_408(&exchange(&mut client, &GET[..20]).await);
    took(start, 30);

    // Its first octets came with the request before.
    let mut client = connect().await;
    let start = Instant::now();
    assert_eq!(exchange(&mut client, [GET, &GET[..20]].concat()).await.status, 200);
    is_408(&answer(&mut client).await);
    took(start, 30);
}

#[tokio::test(start_paused = true)]
async fn time_in_a_handler_is_not_time_in_the_next_head() {
    let mut client = connect().await;
    let pipelined = "GET /after/100 HTTP/1.1\r\nHost: a\r\n\r\nGET / HT";
    assert_eq!(exchange(&mut client, pipelined).await.body, "after");
    sleep(secs(20)).await;
    assert_eq!(exchange(&mut client, "TP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_with_nothing_sent() {
    let mut client = connect().await;
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    let start = Instant::now();
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn requests_at_half_the_time_keep_a_connection_open() {
    let mut client = connect().await;
    for _ in 0..10 {
        sleep(secs(65)).await;
        assert_eq!(exchange(&mut client, GET).await.status, 200);
    }
    let start = Instant::now();
    closed(&mut client).await;
    took(start, 130);
}

#[tokio::test(start_paused = true)]
async fn a_long_handler_is_not_cut() {
    let mut client = connect().await;
    let start = Instant::now();
    let answer = exchange(&mut client, "GET /after/3600 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.body, "after");
    took(start, 3600);
    // And the time without a request begins after it.
    closed(&mut client).await;
    took(start, 3730);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_is_not_cut() {
    let app = Router::new().route(
        "/",
        get(|| async {
            let (sender, body) = channel_body();
            tokio::spawn(async move {
                for chunk in ["a", "b", "c"] {
                    sleep(secs(1000)).await;
                    sender.send(Ok(chunk.into())).await.unwrap();
                }
            });
            body
        }),
    );
    let mut client = client_of(TestServer::new(app)).await;
    let answer = exchange(&mut client, GET).await;
    assert_eq!(answer.body, "abc");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_not_cut_by_the_times_for_heads_and_idleness() {
    let limits = Limits::default().min_request_body_data_rate(None);
    let mut client = client_of(TestServer::builder(app()).limits(limits).start()).await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await.unwrap();
    for octet in b"hello".chunks(1) {
        sleep(secs(200)).await;
        client.send(octet).await.unwrap();
    }
    assert_eq!(answer(&mut client).await.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn a_silent_http2_client_gets_a_goaway() {
    let mut client = connect().await;
    let start = Instant::now();
    client.send(http2_start()).await.unwrap();
    let frames = frames(&mut client).await;
    assert!(start.elapsed() >= secs(130) && start.elapsed() <= secs(136), "{:?}", start.elapsed());
    assert_eq!(frames[0].kind, SETTINGS);
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY && frame.payload[4..8] == [0; 4]), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn a_preface_without_settings_is_ended() {
    let mut client = connect().await;
    let start = Instant::now();
    client.send(crate::support::PREFACE).await.unwrap();
    frames(&mut client).await;
    assert!(start.elapsed() <= secs(136), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_does_not_end_is_ended() {
    let mut client = connect().await;
    let start = Instant::now();
    client.send(http2_start()).await.unwrap();
    client.send(frame(HEADERS, 1, 1, GET_BLOCK)).await.unwrap();
    frames(&mut client).await;
    assert!(start.elapsed() <= secs(136), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_header_block_has_the_time_of_a_head_whatever_else_runs() {
    let mut client = connect().await;
    let start = Instant::now();
    client.send(http2_start()).await.unwrap();
    let long = b"\x82\x86\x04\x0b/after/3600\x41\x01a";
    client.send(frame(HEADERS, END, 1, long)).await.unwrap();
    client.send(frame(HEADERS, 1, 3, GET_BLOCK)).await.unwrap();
    let _ = soon(client.read_to_end()).await;
    assert!(start.elapsed() <= secs(32), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_good_http2_stream_outlives_every_timeout() {
    let server = TestServer::new(app());
    let request = Request::get("/after/3600").version(http::Version::HTTP_2).body(Body::empty()).unwrap();
    let start = Instant::now();
    assert_eq!(server.request(request).await.unwrap().body(), "after");
    took(start, 3600);
}

const UNREAD: &str = "POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_and_that_never_comes_ends_the_connection() {
    for request in [UNREAD, "POST /unread HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"] {
        let mut client = connect().await;
        let start = Instant::now();
        let answer = exchange(&mut client, request).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
        took(start, 0);
        reset(&mut client).await;
        took(start, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_reads_and_that_comes_late_is_thrown_away() {
    let mut client = connect().await;
    assert_eq!(exchange(&mut client, UNREAD).await.status, 200);
    sleep(secs(3)).await;
    client.send("01234").await.unwrap();
    sleep(secs(1)).await;
    client.send("56789").await.unwrap();
    quiet(&mut client, secs(100)).await;
    assert_eq!(exchange(&mut client, GET).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_an_unread_body_is_served() {
    let mut client = connect().await;
    let pipelined = format!("{UNREAD}0123456789{GET}");
    assert_eq!(exchange(&mut client, pipelined).await.status, 200);
    assert_eq!(answer(&mut client).await.status, 200);
}

/// Octets that a connection in memory holds when its client does not read.
const HELD: usize = 64 * 1024;

/// Serves so many octets at 10,000 octets a second after 2 s, at least; says when it was over.
async fn large(octets: usize) -> (TestConnection, mpsc::Receiver<Instant>) {
    let (sender, ended) = mpsc::channel(10_000);
    let app = Router::new().route(
        "/",
        get(move |connection: ConnectionInfo| async move {
            tokio::spawn(async move {
                connection.closed().await;
                let _ = sender.send(Instant::now()).await;
            });
            vec![b'x'; octets]
        }),
    );
    let rate = MinDataRate::new(10_000.0, secs(2)).unwrap();
    let limits = Limits::default().min_response_data_rate(rate);
    let client = client_of(TestServer::builder(app).limits(limits).start()).await;
    (client, ended)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_reset() {
    let size = HELD + 10_000;
    let (mut client, mut ended) = large(size).await;
    let start = Instant::now();
    client.send(GET).await.unwrap();
    let ended = soon(ended.recv()).await.unwrap() - start;
    // What the client was given counts, and grace is not added to the time that it earned.
    let most = secs(size as u64 / 10_000 + 2 + 1);
    assert!(ended >= secs(HELD as u64 / 10_000) && ended <= most, "{ended:?}");
    let mut read = Vec::new();
    let error = AsyncReadExt::read_to_end(&mut client, &mut read).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(read.len() <= HELD);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_of_a_connection_must_be_taken_too() {
    for size in [HELD, HELD + 10_000] {
        let (mut client, mut ended) = large(size).await;
        let start = Instant::now();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let ended = soon(ended.recv()).await.unwrap() - start;
        assert!(ended >= secs(HELD as u64 / 10_000) && ended <= secs(10), "{ended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_only_asks_and_never_reads_is_reset() {
    let (mut client, mut ended) = large(1000).await;
    let start = Instant::now();
    let requests = GET.repeat(1000);
    while client.send(&requests).await.is_ok() {}
    let ended = soon(ended.recv()).await.unwrap() - start;
    // 64 KiB in the stream and as much gathered.
    assert!(ended >= secs(6) && ended <= secs(17), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_too_slowly_is_reset() {
    let (mut client, mut ended) = large(1_000_000).await;
    let start = Instant::now();
    client.send(GET).await.unwrap();
    let mut buf = [0; 1000];
    let mut read = 0;
    while let Ok(n @ 1..) = client.read(&mut buf).await {
        read += n;
        sleep(secs(1)).await;
    }
    let ended = soon(ended.recv()).await.unwrap() - start;
    assert!(ended <= secs(30), "{ended:?}");
    assert!(read < 200_000, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_above_the_rate_is_never_cut() {
    let size = 2_000_000;
    let (mut client, _ended) = large(size).await;
    let start = Instant::now();
    client.send(GET).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    for _ in 0..size / 10_000 {
        octets(&mut client, 10_000).await;
        sleep(std::time::Duration::from_millis(800)).await;
    }
    took(start, 160);
    assert_eq!(exchange(&mut client, "POST / HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 405);
}

#[tokio::test(start_paused = true)]
async fn a_pause_within_the_grace_is_forgiven() {
    let (mut client, _ended) = large(500_000).await;
    client.send(GET).await.unwrap();
    sleep(secs(1)).await;
    let answer = answer(&mut client).await;
    assert_eq!(answer.body.len(), 500_000);
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_a_client_may_read_when_it_likes() {
    let app = Router::new().route("/", get(|| async { vec![b'x'; 500_000] }));
    let limits = Limits::default().min_response_data_rate(None);
    let mut client = client_of(TestServer::builder(app).limits(limits).start()).await;
    client.send(GET).await.unwrap();
    sleep(HOUR).await;
    assert_eq!(answer(&mut client).await.body.len(), 500_000);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_has_all_the_time() {
    let mut client = connect().await;
    assert_eq!(exchange(&mut client, UPGRADE).await.status, 101);
    for _ in 0..3 {
        quiet(&mut client, HOUR).await;
        client.send("ping").await.unwrap();
        assert_eq!(octets(&mut client, 4).await, "ping");
    }
    // A client that does not read is the business of whoever took the connection over.
    client.write_all(&vec![b'x'; HELD]).await.unwrap();
    sleep(HOUR).await;
    octets(&mut client, HELD).await;
}
