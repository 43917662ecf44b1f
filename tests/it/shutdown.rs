//! A shutdown that lets work end, and ends.

use std::io::BufRead as _;

use axum::routing::{any, get};
use kestrel_rs::ConnectionInfo;
use kestrel_rs::test::TestServer;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::support::{
    ChildServer, END, GET, GOAWAY, HEADERS, HOUR, SocketServer, UPGRADE, answer, app, closed, exchange,
    frame, frames, http2_start, octets, quiet, really_soon, reset, secs, serve_in_child, soon, took,
};

const AFTER_10: &str = "GET /after/10 HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_at_once() {
    let mut server = TestServer::new(app());
    let mut fresh = server.connect().await.unwrap();
    let mut asleep = server.connect().await.unwrap();
    assert_eq!(exchange(&mut asleep, GET).await.status, 200);
    sleep(secs(10)).await;
    let mut awake = server.connect().await.unwrap();
    assert_eq!(exchange(&mut awake, GET).await.status, 200);
    let mut http2 = server.connect().await.unwrap();
    http2.send(http2_start()).await.unwrap();
    sleep(secs(1)).await;
    let start = Instant::now();
    server.stop();
    for client in [&mut fresh, &mut asleep, &mut awake] {
        closed(client).await;
    }
    took(start, 0);
    let frames = frames(&mut http2).await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    soon(server.stopped()).await;
    assert!(start.elapsed() <= secs(6), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_finished_and_says_that_the_connection_closes() {
    let mut server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    client.send(AFTER_10).await.unwrap();
    sleep(secs(1)).await;
    let start = Instant::now();
    server.stop();
    let answer = answer(&mut client).await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("after", true));
    closed(&mut client).await;
    drop(client);
    soon(server.stopped()).await;
    took(start, 9);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_yet_arrives_whole_before_a_request_that_is_too_late() {
    let large = async || vec![b'x'; 2_000_000];
    let server = TestServer::new(app().route("/large", any(large)));
    let mut client = server.connect().await.unwrap();
    client.send("POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
    sleep(secs(1)).await;
    server.stop();
    sleep(secs(1)).await;
    client.send(["llo", GET].concat()).await.unwrap();
    assert_eq!(answer(&mut client).await.body.len(), 2_000_000);
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_on_its_way_arrives_whole() {
    let large = |_: axum::body::Bytes| async { vec![b'x'; 1_000_000] };
    let mut server = TestServer::new(app().route("/large", any(large)));
    for (head, body) in [("", ""), ("Content-Length: 5\r\n", "hello"), ("Connection: close\r\n", "")] {
        let mut client = server.connect().await.unwrap();
        client.send(format!("POST /large HTTP/1.1\r\nHost: a\r\n{head}\r\n")).await.unwrap();
        sleep(secs(1)).await;
        client.send(body).await.unwrap();
        sleep(secs(1)).await;
        server.stop();
        sleep(secs(4)).await;
        assert_eq!(answer(&mut client).await.body.len(), 1_000_000);
        closed(&mut client).await;
        drop(client);
        soon(server.stopped()).await;
        server = TestServer::new(app().route("/large", any(large)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_pipelined_behind_it_is_dropped() {
    for next in [GET, &GET[..10]] {
        let mut server = TestServer::new(app());
        let mut client = server.connect().await.unwrap();
        client.send([AFTER_10, next].concat()).await.unwrap();
        sleep(secs(1)).await;
        server.stop();
        let answer = answer(&mut client).await;
        assert_eq!((answer.body.as_str(), answer.closes()), ("after", true));
        closed(&mut client).await;
        drop(client);
        soon(server.stopped()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_waited_for_and_served() {
    for before in ["", GET] {
        let mut server = TestServer::new(app());
        let mut client = server.connect().await.unwrap();
        if !before.is_empty() {
            assert_eq!(exchange(&mut client, before).await.status, 200);
        }
        client.send(&GET[..20]).await.unwrap();
        sleep(secs(1)).await;
        server.stop();
        quiet(&mut client, secs(10)).await;
        let answer = exchange(&mut client, &GET[20..]).await;
        assert_eq!((answer.status, answer.closes()), (200, true));
        closed(&mut client).await;
        drop(client);
        soon(server.stopped()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_keeps_its_time() {
    let mut server = TestServer::builder(app()).with_shutdown_timeout(None).start();
    let mut client = server.connect().await.unwrap();
    let start = Instant::now();
    client.send(&GET[..20]).await.unwrap();
    sleep(secs(1)).await;
    server.stop();
    assert_eq!(answer(&mut client).await.status, 408);
    drop(client);
    soon(server.stopped()).await;
    took(start, 30);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_end_is_cut_at_the_deadline() {
    let app = app().route("/never", get(std::future::pending::<()>));
    let mut server = TestServer::new(app);
    let mut client = server.connect().await.unwrap();
    client.send(GET.replace("/ ", "/never ")).await.unwrap();
    sleep(secs(1)).await;
    let start = Instant::now();
    server.stop();
    soon(server.stopped()).await;
    took(start, 30);
    reset(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_is_told_and_may_say_goodbye() {
    let goodbye = |connection: ConnectionInfo, mut request: axum::extract::Request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            connection.close_requested().await;
            stream.write_all(b"goodbye").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        (http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "raw")])
    };
    let mut server = TestServer::new(app().route("/goodbye", any(goodbye)));
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, UPGRADE.replace("/tunnel", "/goodbye")).await.status, 101);
    quiet(&mut client, secs(100)).await;
    let start = Instant::now();
    server.stop();
    assert_eq!(octets(&mut client, 7).await, "goodbye");
    closed(&mut client).await;
    soon(server.stopped()).await;
    took(start, 0);
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_that_does_not_listen_is_cut_at_the_deadline() {
    let mut server = TestServer::builder(app()).with_shutdown_timeout(secs(7)).start();
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, UPGRADE).await.status, 101);
    let start = Instant::now();
    server.stop();
    sleep(secs(5)).await;
    client.send("still here").await.unwrap();
    assert_eq!(octets(&mut client, 10).await, "still here");
    soon(server.stopped()).await;
    took(start, 7);
    reset(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_work_has_all_the_time() {
    let mut server = TestServer::builder(app()).with_shutdown_timeout(None).start();
    let mut client = server.connect().await.unwrap();
    client.send("GET /after/3600 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(secs(1)).await;
    server.stop();
    assert_eq!(answer(&mut client).await.body, "after");
    drop(client);
    soon(server.stopped()).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_taken() {
    let mut server = TestServer::new(app());
    let mut running = server.connect().await.unwrap();
    running.send(AFTER_10).await.unwrap();
    sleep(secs(1)).await;
    server.stop();
    sleep(secs(1)).await;
    assert!(server.connect().await.is_err());
    assert_eq!(answer(&mut running).await.body, "after");
    drop(running);
    soon(server.stopped()).await;
}

#[tokio::test(start_paused = true)]
async fn http2_streams_are_finished_and_the_client_is_told() {
    let mut server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    let after_10 = b"\x82\x86\x04\x09/after/10\x41\x01a";
    client.send([http2_start(), frame(HEADERS, END, 1, after_10)].concat()).await.unwrap();
    sleep(secs(1)).await;
    let start = Instant::now();
    server.stop();
    let frames = frames(&mut client).await;
    let data: Vec<_> =
        frames.iter().filter(|frame| frame.kind == 0).flat_map(|frame| &frame.payload).collect();
    assert_eq!(data.len(), 5, "{frames:?}");
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    soon(server.stopped()).await;
    assert!(start.elapsed() >= secs(9) && start.elapsed() <= secs(15), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn http2_streams_that_do_not_end_are_cut_at_the_deadline() {
    let mut server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    let after_3600 = b"\x82\x86\x04\x0b/after/3600\x41\x01a";
    client.send([http2_start(), frame(HEADERS, END, 1, after_3600)].concat()).await.unwrap();
    sleep(secs(1)).await;
    let start = Instant::now();
    server.stop();
    soon(server.stopped()).await;
    took(start, 30);
}

#[tokio::test]
async fn the_socket_is_closed_and_serve_returns() {
    let server = SocketServer::new(app()).await;
    let mut client = server.connect().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(really_soon(answer(&mut client)).await.status, 200);
    server.stop.cancel();
    really_soon(closed(&mut client)).await;
    really_soon(server.served).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_signal_stops_the_server() {
    for signal in ["-INT", "-TERM"] {
        let mut server = ChildServer::start("shutdown::child_that_serves", "");
        let mut client = tokio::net::TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"GET /after/1 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        sleep(std::time::Duration::from_millis(200)).await;
        server.signal(signal);
        let answer = really_soon(answer(&mut client)).await;
        assert_eq!((answer.body.as_str(), answer.closes()), ("after", true));
        assert!(server.child.wait().unwrap().success());
        let output = std::io::read_to_string(&mut server.output).unwrap();
        assert!(output.contains("has shut down"), "{output}");
    }
}

/// Reads what a child says, up to `text`.
fn says(server: &mut ChildServer, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(server.output.read_line(&mut line).unwrap(), 0, "it never says {text:?}");
    }
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_left() {
    let mut server = ChildServer::start("shutdown::child_that_serves", "exec 2>&1;");
    let mut client = tokio::net::TcpStream::connect(server.address).await.unwrap();
    client.write_all(b"GET /after/3600 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    sleep(std::time::Duration::from_millis(200)).await;
    server.signal("-INT");
    says(&mut server, "shutting down");
    server.signal("-TERM");
    really_soon(reset(&mut client)).await;
    says(&mut server, "has shut down");
    assert!(server.child.wait().unwrap().success());
}

/// Its handler blocks, so that neither the first nor the second can end it.
#[tokio::test]
async fn a_third_signal_ends_the_process() {
    for (third, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut server = ChildServer::start("shutdown::child_that_blocks", "exec 2>&1;");
        let mut client = tokio::net::TcpStream::connect(server.address).await.unwrap();
        client.write_all(b"GET /block HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        says(&mut server, "blocked");
        server.signal("-TERM");
        says(&mut server, "shutting down");
        server.signal("-INT");
        says(&mut server, "has shut down");
        server.signal(third);
        assert_eq!(server.child.wait().unwrap().code(), Some(code));
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_that_serves() {
    let _ = tokio::time::timeout(HOUR, serve_in_child(app())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "runs in a process of its own"]
#[expect(clippy::disallowed_methods, reason = "what no handler should do")]
async fn child_that_blocks() {
    let block = || async {
        println!("blocked");
        std::thread::sleep(HOUR);
    };
    let _ = tokio::time::timeout(HOUR, serve_in_child(app().route("/block", get(block)))).await;
}
