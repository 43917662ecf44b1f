//! Several requests at once on one connection, and how their answers leave.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures_util::StreamExt as _;
use kestrel_rs::connection::{self, BoxIo, Connection, Next};
use kestrel_rs::test::TestServer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep};

use crate::support::{
    GET, answer, app, channel_body, closed, exchange, octets, quiet, rest, secs, took, until,
};

/// Counts what is written to the stream.
struct Counted(BoxIo, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A server whose writes are counted.
fn counted() -> (TestServer, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    let layer = connection::from_fn(move |connection: Connection, next: Next| {
        let counter = counter.clone();
        next.run(connection.map_io(|io| BoxIo::new(Counted(io, counter))))
    });
    (TestServer::builder(app()).layer(layer).start(), count)
}

#[tokio::test(start_paused = true)]
async fn all_answers_of_one_read_leave_in_one_write() {
    for requests in [1, 2, 16] {
        let (server, writes) = counted();
        let mut client = server.connect().await.unwrap();
        client.send(GET.repeat(requests)).await.unwrap();
        for _ in 0..requests {
            assert_eq!(answer(&mut client).await.body, "hello");
        }
        assert_eq!(writes.load(Ordering::Relaxed), 1, "{requests} requests");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_and_the_refusal_behind_them_leave_together() {
    let (server, writes) = counted();
    let mut client = server.connect().await.unwrap();
    client.send(format!("{GET}{GET}nonsense\r\n")).await.unwrap();
    for status in [200, 200, 400] {
        assert_eq!(answer(&mut client).await.status, status);
    }
    closed(&mut client).await;
    assert!(writes.load(Ordering::Relaxed) <= 2);
}

#[tokio::test(start_paused = true)]
async fn as_many_as_there_are_are_answered_in_turn() {
    for requests in [16, 1000] {
        let app = Router::new().route(
            "/{number}",
            get(|path: axum::extract::Path<usize>| async move {
                // Every seventh takes its time; none may pass it.
                if path.is_multiple_of(7) {
                    sleep(secs(1)).await;
                }
                path.to_string()
            }),
        );
        let server = TestServer::new(app);
        let client = server.connect().await.unwrap();
        let (mut read, mut write) = tokio::io::split(client);
        let pipelined: Vec<_> =
            (0..requests).map(|number| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
        let pipelined = pipelined.concat();
        let send = async { write.write_all(pipelined.as_bytes()).await };
        let receive = async {
            for number in 0..requests {
                assert_eq!(answer(&mut read).await.body, number.to_string());
            }
        };
        let (result, ()) = tokio::join!(send, receive);
        result.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_request_behind_a_finished_one_does_not_hold_its_answer_back() {
    for half in 1..GET.len() {
        let server = TestServer::new(app());
        let mut client = server.connect().await.unwrap();
        let start = Instant::now();
        assert_eq!(exchange(&mut client, [GET, &GET[..half]].concat()).await.body, "hello");
        took(start, 0);
        assert_eq!(exchange(&mut client, &GET[half..]).await.body, "hello");
        quiet(&mut client, secs(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_behind_a_stream_does_not_hold_its_chunks_back() {
    let stream = || async {
        let (sender, body) = channel_body();
        tokio::spawn(async move {
            for chunk in ["one", "two", "six"] {
                sleep(secs(10)).await;
                sender.send(Ok(chunk.into())).await.unwrap();
            }
        });
        body
    };
    let server = TestServer::new(app().route("/stream", get(stream)));
    let mut client = server.connect().await.unwrap();
    let start = Instant::now();
    client.send(format!("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    took(start, 0);
    for (chunk, time) in [("3\r\none\r\n", 10), ("3\r\ntwo\r\n", 20), ("3\r\nsix\r\n", 30)] {
        assert_eq!(octets(&mut client, chunk.len()).await, chunk);
        took(start, time);
    }
    assert_eq!(octets(&mut client, 5).await, "0\r\n\r\n");
    assert_eq!(answer(&mut client).await.body, "hello");
    took(start, 30);
}

#[tokio::test(start_paused = true)]
async fn a_bad_head_is_refused_after_the_answers_before_it() {
    for before in ["/", "/after/20"] {
        let server = TestServer::new(app());
        let mut client = server.connect().await.unwrap();
        client.send(format!("GET {before} HTTP/1.1\r\nHost: a\r\n\r\nGET /\r\n\r\n{GET}")).await.unwrap();
        let good = answer(&mut client).await;
        assert_eq!(good.status, 200);
        let bad = answer(&mut client).await;
        assert_eq!(bad.status, 400);
        assert!(bad.closes());
        closed(&mut client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn empty_lines_between_requests_are_skipped() {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    client.send(format!("\r\n\r\n{request}\r\n{GET}\r\n\r\n\r\n{request}\r\n")).await.unwrap();
    for body in ["hi", "hello", "hi"] {
        assert_eq!(answer(&mut client).await.body, body);
    }
    quiet(&mut client, secs(100)).await;
    assert_eq!(exchange(&mut client, GET).await.body, "hello");
}

/// Two requests with bodies and one without, the last on its connection.
const MIXED: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
    POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: t\r\n\r\n\
    \r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The answers without their dates.
async fn answers(pieces: impl IntoIterator<Item = &[u8]>) -> String {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    for piece in pieces {
        client.send(piece).await.unwrap();
        sleep(std::time::Duration::from_millis(1)).await;
    }
    let answers = rest(&mut client).await;
    answers.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn where_the_octets_are_split_changes_nothing() {
    let whole = answers([MIXED.as_bytes()]).await;
    assert_eq!(whole.matches("HTTP/1.1 200 OK").count(), 3, "{whole}");
    for at in 1..MIXED.len() {
        let (first, second) = MIXED.as_bytes().split_at(at);
        assert_eq!(answers([first, second]).await, whole, "split at {at}");
    }
    for size in [1, 2, 3, 7] {
        assert_eq!(answers(MIXED.as_bytes().chunks(size)).await, whole, "pieces of {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preface_behind_an_empty_line_is_a_bad_request_line() {
    const LATE: &[u8] = b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let whole = answers([LATE]).await;
    assert!(whole.starts_with("HTTP/1.1 505 "), "{whole}");
    assert_eq!(answers(LATE.chunks(1)).await, whole);
}

/// 10 MB in pieces, each made when it is asked for; says how much was made.
fn large() -> (Router, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let app = Router::new().route(
        "/",
        get(move || async move {
            Body::from_stream(futures_util::stream::iter(0..10_000_u32).map(move |number| {
                count.fetch_add(1000, Ordering::Relaxed);
                let piece = number.to_be_bytes().repeat(250);
                Ok::<_, io::Error>(Bytes::from(piece))
            }))
        }),
    );
    (app, made)
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_arrives_whole_and_is_not_made_ahead_of_its_reader() {
    let (app, made) = large();
    let server = TestServer::new(app);
    let mut client = server.connect().await.unwrap();
    client.send(GET).await.unwrap();
    sleep(secs(1)).await;
    let ahead = made.load(Ordering::Relaxed);
    assert!(ahead < 512 * 1024, "{ahead} octets made for a client that has read none");

    until(&mut client, "\r\n\r\n").await;
    let (mut number, mut read) = (0_u32, 0);
    loop {
        let size = usize::from_str_radix(until(&mut client, "\r\n").await.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        client.read_exact(&mut chunk).await.unwrap();
        if size == 0 {
            break;
        }
        for word in chunk[..size].chunks(4) {
            assert_eq!(word, (number / 250).to_be_bytes());
            number += 1;
        }
        read += size;
        if number % 100_000 < 250 {
            sleep(secs(1)).await;
            let ahead = made.load(Ordering::Relaxed) - read;
            assert!(ahead < 512 * 1024, "{ahead} octets made ahead of the client");
        }
    }
    assert_eq!(read, 10_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_in_one_piece_arrives_whole() {
    let octets = || (0..=255_u8).cycle().take(10_000_000).collect::<Vec<_>>();
    let app = Router::new().route("/", get(move || async move { octets() }));
    let server = TestServer::new(app);
    let mut client = server.connect().await.unwrap();
    client.send(GET.repeat(2)).await.unwrap();
    for _ in 0..2 {
        let head = until(&mut client, "\r\n\r\n").await;
        assert!(head.contains("content-length: 10000000\r\n"), "{head}");
        let mut body = vec![0; 10_000_000];
        client.read_exact(&mut body).await.unwrap();
        assert!(body == octets());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_waits_until_its_handler_reads() {
    let slow = |body: Body| async {
        sleep(secs(10)).await;
        crate::support::read_body(body).await.unwrap().len().to_string()
    };
    let server = TestServer::new(Router::new().route("/", axum::routing::post(slow)));
    let client = server.connect().await.unwrap();
    let (mut read, mut write) = tokio::io::split(client);
    let size = 20 * 1024 * 1024;
    let start = Instant::now();
    let send = async {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        write.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 4096];
        let mut early = 0;
        for _ in 0..size / piece.len() {
            write.write_all(&piece).await.unwrap();
            if start.elapsed() < secs(10) {
                early += piece.len();
            }
        }
        early
    };
    let (early, answer) = tokio::join!(send, answer(&mut read));
    assert_eq!(answer.body, size.to_string());
    let most = 1024 * 1024 + 128 * 1024; // `max_request_buffer_size`, and what the transport holds
    assert!(early < most, "{early} octets taken for a handler that does not read");
}
