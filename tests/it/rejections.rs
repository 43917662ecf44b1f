//! What is refused before any handler sees it, and the bare answer that it gets.

use axum::Router;
use axum::routing::any;
use kestrel_rs::limits::{Http1Parsing, Limits};
use kestrel_rs::test::TestServer;
use kestrel_rs::{Endpoint, KestrelListener, Protocols};
use tokio::io::AsyncWriteExt;

use crate::support::{
    Events, GET, SocketServer, answer, app, closed, exchange, octets, really_soon, rest, secs,
};

fn server(limits: Limits) -> TestServer {
    TestServer::builder(app()).limits(limits).start()
}

/// All that comes back for `request`, then the end. What follows the request must not count.
async fn refusal(server: &TestServer, request: impl AsRef<[u8]>) -> String {
    let mut client = server.connect().await.unwrap();
    client.send(request).await.unwrap();
    let _ = client.send(GET).await;
    rest(&mut client).await
}

/// The bare answer with `status`, and nothing but it.
#[track_caller]
fn is_bare(text: &str, status: &str, allow: Option<&str>) {
    let date = text.lines().find_map(|line| line.strip_prefix("Date: ")).unwrap_or_default();
    assert_eq!(date.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len(), "{text:?}");
    let allow = allow.map(|allow| format!("Allow: {allow}\r\n")).unwrap_or_default();
    let mut expected: Vec<_> =
        format!("Content-Length: 0\r\nConnection: close\r\nDate: {date}\r\nServer: kestrel-rs\r\n{allow}")
            .lines()
            .map(str::to_owned)
            .collect();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(format!("HTTP/1.1 {status}").as_str()), "{text:?}");
    let mut found: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).map(str::to_owned).collect();
    assert_eq!(lines.next(), None, "{text:?}");
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

const BAD: &str = "400 Bad Request";

/// A request, the status, and the `Allow` header of the answer.
const REFUSED: &[(&str, &str, Option<&str>)] = &[
    ("GET\r\n\r\n", BAD, None),
    ("GET /\r\n\r\n", BAD, None),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1x\r\nHost: a\r\n\r\n", BAD, None),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported", None),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported", None),
    ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", BAD, None),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", BAD, None),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed", Some("OPTIONS")),
    ("GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "405 Method Not Allowed", Some("CONNECT")),
    ("GET / HTTP/1.1\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD, None),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nName : value\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nBad[Name: x\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", BAD, None),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", BAD, None),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", BAD, None),
    ("POST / HTTP/1.0\r\n\r\n", BAD, None),
];

#[tokio::test(start_paused = true)]
async fn each_gets_its_bare_answer_and_what_follows_is_ignored() {
    let events = Events::record();
    let server = server(Limits::default());
    for (request, status, allow) in REFUSED {
        let text = refusal(&server, request).await;
        assert!(text.starts_with("HTTP/1.1 "), "{request:?} -> {text:?}");
        is_bare(&text, status, *allow);
    }
    events.none_above_debug();
}

#[tokio::test(start_paused = true)]
async fn it_may_come_octet_by_octet() {
    let server = server(Limits::default());
    for (request, status, allow) in REFUSED {
        let mut client = server.connect().await.unwrap();
        for octet in request.as_bytes().chunks(1) {
            let _ = client.send(octet).await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        is_bare(&rest(&mut client).await, status, *allow);
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_inside_a_head_is_a_bad_request() {
    let events = Events::record();
    let server = server(Limits::default());
    for part in ["G", "GET / HTTP/1.1", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
        let mut client = server.connect().await.unwrap();
        client.send(part).await.unwrap();
        client.finish().await.unwrap();
        is_bare(&rest(&mut client).await, BAD, None);
    }
    for nothing in ["", "\r\n"] {
        let mut client = server.connect().await.unwrap();
        client.send(nothing).await.unwrap();
        client.finish().await.unwrap();
        closed(&mut client).await;
    }
    events.none_above_debug();
}

#[tokio::test(start_paused = true)]
async fn tls_on_a_plain_port_is_a_bad_request() {
    let events = Events::record();
    let server = server(Limits::default());
    let hello = b"\x16\x03\x01\x00\xf5\x01\x00\x00\xf1\x03\x03";
    is_bare(&refusal(&server, hello).await, BAD, None);
    events.none_above_debug();
}

#[tokio::test(start_paused = true)]
async fn http2_where_only_http1_is_spoken_gets_17_octets() {
    let server = TestServer::builder(app()).protocols(Protocols::HTTP1).start();
    let mut client = server.connect().await.unwrap();
    client.send(crate::support::http2_start()).await.unwrap();
    let mut read = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client, &mut read).await.unwrap();
    assert_eq!(read, [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd]);

    // Later on it is a request like another.
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    client.send(crate::support::PREFACE).await.unwrap();
    is_bare(&rest(&mut client).await, "505 HTTP Version Not Supported", None);
}

#[tokio::test(start_paused = true)]
async fn http1_where_only_http2_is_spoken_gets_words() {
    let server = TestServer::builder(app()).protocols(Protocols::HTTP2).start();
    for request in [GET, "GET / HTTP/1.0\r\n\r\n"] {
        let mut client = server.connect().await.unwrap();
        let answer = exchange(&mut client, request).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body, "An HTTP/1.x request was sent to an HTTP/2 only endpoint.");
        assert!(answer.closes());
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        closed(&mut client).await;
    }
}

/// A GET whose request line has so many octets.
fn line_of(octets: usize) -> String {
    let path = "/".repeat(octets - "GET  HTTP/1.1\r\n".len());
    format!("GET {path} HTTP/1.1\r\n")
}

/// Header lines that have so many octets in all, `Host` among them.
fn headers_of(octets: usize) -> String {
    format!("Host: a\r\nX: {}\r\n", "x".repeat(octets - "Host: a\r\nX: \r\n".len()))
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_at_its_value_and_refuses_one_more() {
    let server = TestServer::new(Router::new().fallback(any(|| async { "found" })));
    let many = |lines: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(lines - 1));
    let line = |octets| format!("{}Host: a\r\n\r\n", line_of(octets));
    let total = |octets| format!("GET / HTTP/1.1\r\n{}\r\n", headers_of(octets));
    let too_large = "431 Request Header Fields Too Large";
    for (good, bad, status) in [
        (line(8192), line(8193), "414 URI Too Long"),
        (total(32_768), total(32_769), too_large),
        (many(100), many(101), too_large),
    ] {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, good).await.status, 200);
        is_bare(&refusal(&server, bad).await, status, None);
    }
    // A line that does not end need not be waited for.
    is_bare(&refusal(&server, "GET /".to_owned() + &"x".repeat(8192)).await, "414 URI Too Long", None);
    is_bare(&refusal(&server, "G".repeat(100_000)).await, "414 URI Too Long", None);
    let endless = "GET / HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"x".repeat(32_768);
    is_bare(&refusal(&server, endless).await, too_large, None);
}

#[tokio::test(start_paused = true)]
async fn limits_can_be_set() {
    let limits = Limits::default()
        .max_request_line_size(20)
        .max_request_headers_total_size(40)
        .max_request_header_count(2);
    let server =
        TestServer::builder(Router::new().fallback(any(|| async { "found" }))).limits(limits).start();
    for (request, status) in [
        (format!("{}Host: a\r\n\r\n", line_of(20)), 200),
        (format!("{}Host: a\r\n\r\n", line_of(21)), 414),
        (format!("GET / HTTP/1.1\r\n{}\r\n", headers_of(40)), 200),
        (format!("GET / HTTP/1.1\r\n{}\r\n", headers_of(41)), 431),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n".to_owned(), 431),
    ] {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, &request).await.status, status, "{request:?}");
    }
    let limits = Limits::default().max_request_header_count(500).max_request_headers_total_size(100_000);
    let server = self::server(limits);
    let lines = "X: y\r\n".repeat(499);
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn strict_parsing_refuses_more() {
    let compatible = server(Limits::default());
    let strict = server(Limits::default().http1_parsing(Http1Parsing::Strict));
    let body = "\r\n\r\nhello";
    for (name, request, status) in [
        (
            "content-length-zeros",
            format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 005{body}"),
            400,
        ),
        (
            "length-and-chunked",
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_owned(),
            400,
        ),
        ("empty-lines", format!("\r\n\r\n{GET}"), 400),
        ("bare-lf", "GET / HTTP/1.1\nHost: a\n\n".to_owned(), 400),
        ("empty-host", "GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 400),
        ("unknown-expect", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_owned(), 417),
        ("target-octets", "GET /?a={} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = compatible.connect().await.unwrap();
        assert_eq!(exchange(&mut client, &request).await.status, 200, "{name}");
        let text = refusal(&strict, &request).await;
        let reason = if status == 417 { "417 Expectation Failed" } else { BAD };
        assert!(text.starts_with("HTTP/1.1 "), "{name}: {text:?}");
        is_bare(&text, reason, None);
    }
    // What any good client sends is good under both.
    for server in [&compatible, &strict] {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, format!("\r\n{GET}")).await.status, 200);
    }
}

/// What the handler finds when the body is broken: the status that the extractor answers with.
#[tokio::test(start_paused = true)]
async fn a_broken_body_is_the_handlers_to_see_and_ends_the_connection() {
    let events = Events::record();
    let server = server(Limits::default());
    for body in ["x\r\n", "5\r\nhelloX", "5;\r\nhello\r\n0\r\n\r\n", "FFFFFFFFF\r\n", "0\r\n\n"] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let mut client = server.connect().await.unwrap();
        let answer = exchange(&mut client, request).await;
        assert_eq!(answer.status, 400, "{body:?}");
        closed(&mut client).await;
    }
    events.none_above_debug();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_is_not_logged_above_debug() {
    let events = Events::record();
    let server = server(Limits::default());
    for part in ["", "GET /", GET, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"] {
        let mut client = server.connect().await.unwrap();
        client.send(part).await.unwrap();
        tokio::time::sleep(secs(1)).await;
        drop(client);
        tokio::time::sleep(secs(1)).await;
    }
    events.none_above_debug();
}

/// Over a socket a close with unread octets is a reset, which could overtake the answer.
#[tokio::test]
async fn over_a_socket_the_refusal_arrives_whatever_else_was_sent() {
    let listener = KestrelListener::builder()
        .endpoint(Endpoint::parse("http://127.0.0.1:0").unwrap())
        .bind()
        .await
        .unwrap();
    let server = SocketServer::on(listener, app());
    for _ in 0..20 {
        let mut client = server.connect().await;
        client.write_all(b"GET /\r\n\r\n").await.unwrap();
        let _ = client.write_all(&vec![b'x'; 1_000_000]).await;
        let answer = really_soon(answer(&mut client)).await;
        assert_eq!(answer.status, 400);
    }
    let mut client = server.connect().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(really_soon(octets(&mut client, 15)).await, "HTTP/1.1 200 OK");
}
