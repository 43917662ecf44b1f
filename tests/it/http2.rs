//! Requests over HTTP/2: judged as those of HTTP/1 are, and what only frames can say.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kestrel_rs::test::TestServer;
use kestrel_rs::{Http2Limits, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::frames::h2_client;
use crate::support::{
    DropTime, END, Events, Frame, GET_BLOCK, GOAWAY, HEADERS, HOUR, SETTINGS, channel_body, frame, frames,
    http2_start, read_body, secs, soon,
};

const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

async fn seen(original: OriginalUri, request: Request) -> Response {
    let lines = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap());
    let hosts = lines.collect::<Vec<_>>().join("|");
    let cookies = request.headers().get_all(header::COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let cookies = cookies.collect::<Vec<_>>().join("|");
    let sent = original.0.path_and_query().unwrap().clone();
    format!("{} {sent} {hosts} {cookies}", request.uri().path()).into_response()
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "Hello World!"))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .route("/ignore", any(async || "ignored"))
        .route("/never", any(async || std::future::pending::<()>().await))
        .fallback(any(seen))
}

type Client = h2::client::SendRequest<Bytes>;

async fn text(client: &mut Client, request: http::Request<()>) -> (StatusCode, String) {
    let response = client.send_request(request, true).unwrap().0.await.unwrap();
    let (parts, mut body) = response.into_parts();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data.unwrap());
    }
    (parts.status, String::from_utf8(text).unwrap())
}

/// The code that the stream is reset with in place of an answer.
async fn reset_with(client: &mut Client, request: http::Request<()>) -> h2::Reason {
    let error = client.send_request(request, true).unwrap().0.await.unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    error.reason().unwrap()
}

fn request(uri: &str) -> http::Request<()> {
    http::Request::builder().version(http::Version::HTTP_2).uri(uri).body(()).unwrap()
}

fn with(uri: &str, name: &'static str, values: &[&'static str]) -> http::Request<()> {
    let mut request = request(uri);
    for value in values {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn a_handler_sees_one_host_one_cookie_and_one_spelling_of_a_path() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    let mut both = with("http://a.example/x/../%62?q=%62", "host", &["b.example"]);
    both.headers_mut().append(header::COOKIE, HeaderValue::from_static("a=1"));
    both.headers_mut().append(header::COOKIE, HeaderValue::from_static("b=2"));
    let (status, text) = text(&mut client, both).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "/b /x/../%62?q=%62 a.example a=1; b=2"));
}

#[tokio::test]
async fn paths_are_left_alone_where_that_is_wanted() {
    let limits = Limits::default().without_path_normalization();
    let server = TestServer::builder(app()).limits(limits).start();
    let mut client = h2_client(&server).await;
    let (_, text) = text(&mut client, request("http://a/x/../%62")).await;
    assert!(text.starts_with("/x/../%62 "), "{text}");
    let mut connection = server.connect().await.unwrap();
    connection.send("GET /x/../%62 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.contains("\r\n\r\n/x/../%62 "), "{answer}");
}

#[tokio::test]
async fn what_http1_refuses_is_refused() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    for bad in [
        request("http://user@a/"),
        request("https://a/"),
        request("http://a/%00"),
        request(&format!("http://a/{}", "a".repeat(8192))),
        with("http://a/", "content-length", &["0", "0"]),
    ] {
        let uri = bad.uri().clone();
        assert_eq!(reset_with(&mut client, bad).await, h2::Reason::PROTOCOL_ERROR, "{uri}");
    }
    let mut latin1 = request("http://a/");
    latin1.headers_mut().insert("x-a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    assert_eq!(reset_with(&mut client, latin1).await, h2::Reason::PROTOCOL_ERROR);
    assert_eq!(text(&mut client, request("http://a/")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn too_many_or_too_large_fields_are_a_431() {
    let limits = Limits::default().http2(Http2Limits::default().max_request_header_field_size(1024));
    let server = TestServer::builder(app()).limits(limits).start();
    let mut client = h2_client(&server).await;
    let many = with("http://a/", "x", &["1"; 97]);
    assert_eq!(text(&mut client, many).await.0, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let mut large = request("http://a/");
    large.headers_mut().insert("x", HeaderValue::from_str(&"v".repeat(1025)).unwrap());
    assert_eq!(text(&mut client, large).await.0, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(text(&mut client, with("http://a/", "x", &["1"; 96])).await.0, StatusCode::OK);
    // More than twice as many end the connection.
    let far = [GET_BLOCK, &b"\0\x01x\x011".repeat(198)].concat();
    let frames = sent(&server, &[http2_start(), frame(HEADERS, END, 1, &far)].concat()).await;
    assert_eq!(goaway(&frames), Some(1), "PROTOCOL_ERROR");
}

#[tokio::test(start_paused = true)]
async fn a_100_comes_when_the_body_is_asked_for() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    let expecting = |path: &str| {
        let mut request = with(&format!("http://a{path}"), "expect", &["100-continue"]);
        *request.method_mut() = http::Method::POST;
        request
    };
    let (mut response, mut body) = client.send_request(expecting("/length"), false).unwrap();
    let interim = soon(std::future::poll_fn(|cx| response.poll_informational(cx))).await;
    assert_eq!(interim.unwrap().unwrap().status(), StatusCode::CONTINUE);
    body.send_data("hello".into(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), StatusCode::OK);

    let (mut response, _body) = client.send_request(expecting("/ignore"), false).unwrap();
    let interim = std::future::poll_fn(|cx| response.poll_informational(cx)).await;
    assert!(interim.is_none(), "a 100 nobody asked for");
}

#[tokio::test]
async fn a_body_that_is_not_read_is_not_taken_without_end() {
    let app = Router::new().route("/", post(async || std::future::pending::<()>().await));
    let server = TestServer::new(app);
    let mut client = h2_client(&server).await;
    let mut request = request("http://a/");
    *request.method_mut() = http::Method::POST;
    let (_response, mut body) = client.send_request(request, false).unwrap();
    let mut sent = 0;
    let sending = async {
        loop {
            body.reserve_capacity(16 * 1024);
            let capacity = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
            body.send_data(vec![0; capacity].into(), false).unwrap();
            sent += capacity;
        }
    };
    let stalled = tokio::time::timeout(std::time::Duration::from_millis(200), sending).await;
    assert!(stalled.is_err());
    assert_eq!(sent, 768 * 1024, "the window of a stream");
}

/// The last GOAWAY's code.
fn goaway(frames: &[Frame]) -> Option<u32> {
    let last = frames.iter().rev().find(|frame| frame.kind == GOAWAY)?;
    Some(u32::from_be_bytes(last.payload[4..8].try_into().unwrap()))
}

async fn sent(server: &TestServer, octets: &[u8]) -> Vec<Frame> {
    let mut connection = server.connect().await.unwrap();
    _ = connection.send(octets).await; // who is told to go need not take all
    soon(frames(&mut connection)).await
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_a_wrong_length_is_named_so() {
    const FRAME_SIZE_ERROR: u32 = 6;
    let server = TestServer::new(app());
    for bad in [
        frame(PING, 0, 0, &[0; 7]),
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, 1, 0, &[0; 6]),
        frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
        frame(RST_STREAM, 0, 1, &[0; 3]),
        frame(PRIORITY, 0, 1, &[0; 4]),
        frame(DATA, 8, 1, &[]),
    ] {
        let before = [http2_start(), frame(HEADERS, 4, 1, GET_BLOCK)].concat();
        let frames = sent(&server, &[before, bad.clone()].concat()).await;
        assert_eq!(goaway(&frames), Some(FRAME_SIZE_ERROR), "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_frames_that_bring_nothing_ends_the_connection() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let server = TestServer::new(app());
    for one in [
        frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0]),
        frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(0xfa, 0, 0, b"unknown"),
    ] {
        let flood = [http2_start(), one.repeat(5000)].concat();
        assert_eq!(goaway(&sent(&server, &flood).await), Some(ENHANCE_YOUR_CALM), "{one:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_reset_at_once_end_the_connection_in_silence() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let server = TestServer::new(app());
    let events = Events::record();
    let reset = |number: u32| {
        let stream = 2 * number + 1;
        [frame(HEADERS, END | 4, stream, GET_BLOCK), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    };
    let resets: Vec<u8> = (0..100).flat_map(reset).collect();
    assert_eq!(goaway(&sent(&server, &[http2_start(), resets].concat()).await), Some(ENHANCE_YOUR_CALM));
    events.none_above_debug();
}

#[tokio::test(start_paused = true)]
async fn pings_of_a_client_keep_its_connection() {
    let limits = Limits::default().keep_alive_timeout(secs(10));
    let server = TestServer::builder(app()).limits(limits).start();
    let mut connection = server.connect().await.unwrap();
    let start = Instant::now();
    connection.send(http2_start()).await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(secs(8)).await;
        connection.send(frame(PING, 0, 0, &[0; 8])).await.unwrap();
    }
    assert_eq!(goaway(&frames(&mut connection).await), Some(0));
    assert!(start.elapsed() >= secs(50) && start.elapsed() <= secs(56), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_pings_is_given_up() {
    const INTERNAL_ERROR: u32 = 2;
    let pings = |timeout| {
        let http2 = Http2Limits::default().keep_alive_ping_delay(secs(5)).keep_alive_ping_timeout(timeout);
        TestServer::builder(app()).limits(Limits::default().http2(http2)).start()
    };
    let server = pings(Some(secs(3)));
    let mut quiet = server.connect().await.unwrap();
    let start = Instant::now();
    quiet.send(http2_start()).await.unwrap();
    let seen = frames(&mut quiet).await;
    assert_eq!(goaway(&seen), Some(INTERNAL_ERROR));
    assert_eq!(seen.iter().filter(|frame| frame.kind == PING).count(), 1);
    assert!(start.elapsed() >= secs(8) && start.elapsed() <= secs(9), "{:?}", start.elapsed());

    // A client that answers them keeps its connection until it is idle for too long.
    let mut client = h2_client(&server).await;
    tokio::time::sleep(secs(100)).await;
    assert_eq!(text(&mut client, request("http://a/")).await.0, StatusCode::OK);

    let server = pings(None);
    let mut quiet = server.connect().await.unwrap();
    let start = Instant::now();
    quiet.send(http2_start()).await.unwrap();
    assert_eq!(goaway(&frames(&mut quiet).await), Some(0), "idle, not given up");
    assert!(start.elapsed() >= secs(130), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn trailers_have_the_time_of_a_head() {
    let server =
        TestServer::builder(app()).limits(Limits::default().min_request_body_data_rate(None)).start();
    let mut connection = server.connect().await.unwrap();
    let start = Instant::now();
    let post = b"\x83\x86\x04\x07/length\x41\x01a";
    connection.send([http2_start(), frame(HEADERS, 4, 1, post)].concat()).await.unwrap();
    connection.send(frame(HEADERS, 1, 1, b"")).await.unwrap();
    assert!(goaway(&frames(&mut connection).await).is_some());
    assert!(start.elapsed() >= secs(30) && start.elapsed() <= secs(31), "{:?}", start.elapsed());
}

/// A tunnel that echoes, by extended CONNECT.
async fn echo(mut request: Request) -> StatusCode {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        let mut octets = [0; 64];
        while let Ok(n @ 1..) = stream.read(&mut octets).await {
            stream.write_all(&octets[..n]).await.unwrap();
        }
    });
    StatusCode::OK
}

async fn tunnel(client: &mut Client) -> (h2::SendStream<Bytes>, h2::RecvStream) {
    let mut connect = request("http://a/echo");
    *connect.method_mut() = http::Method::CONNECT;
    connect.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (response, outgoing) = client.send_request(connect, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    (outgoing, response.into_body())
}

#[tokio::test(start_paused = true)]
async fn an_open_tunnel_is_work() {
    let limits = Limits::default().keep_alive_timeout(secs(4));
    let app = Router::new().route("/echo", any(echo));
    let server = TestServer::builder(app).limits(limits).with_shutdown_timeout(secs(10)).start();
    let mut client = h2_client(&server).await;
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let (mut outgoing, mut incoming) = tunnel(&mut client).await;
    for _ in 0..10 {
        tokio::time::sleep(secs(3)).await;
        outgoing.send_data("hello".into(), false).unwrap();
        let data = incoming.data().await.unwrap().unwrap();
        assert_eq!(data, "hello");
        incoming.flow_control().release_capacity(data.len()).unwrap();
    }
    // A shutdown leaves it its time.
    let stop = Instant::now();
    server.stop();
    tokio::time::sleep(secs(8)).await;
    outgoing.send_data("still here".into(), false).unwrap();
    assert_eq!(incoming.data().await.unwrap().unwrap(), "still here");
    assert!(incoming.data().await.is_none_or(|data| data.is_err()), "cut");
    assert!(stop.elapsed() >= secs(10) && stop.elapsed() <= secs(11), "{:?}", stop.elapsed());
}

#[tokio::test]
async fn a_tunnel_ends_when_both_sides_have_said_all() {
    let server = TestServer::new(Router::new().route("/echo", any(echo)));
    let mut client = h2_client(&server).await;
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let (mut outgoing, mut incoming) = tunnel(&mut client).await;
    outgoing.send_data("ping".into(), true).unwrap();
    assert_eq!(incoming.data().await.unwrap().unwrap(), "ping");
    while let Some(data) = incoming.data().await {
        assert_eq!(data.unwrap(), "", "the end is no error");
    }
}

#[tokio::test]
async fn a_stream_that_its_client_resets_drops_the_handler() {
    let (guard, mut dropped) = DropTime::new();
    let guard = Arc::new(std::sync::Mutex::new(Some(guard)));
    let app = Router::new().route(
        "/",
        get(async move || {
            let _guard = guard.lock().unwrap().take();
            std::future::pending::<()>().await;
        }),
    );
    let server = TestServer::new(app);
    let mut client = h2_client(&server).await;
    let (response, mut stream) = client.send_request(request("http://a/"), true).unwrap();
    tokio::time::timeout(std::time::Duration::from_millis(50), response).await.unwrap_err();
    stream.send_reset(h2::Reason::CANCEL);
    soon(dropped.recv()).await.unwrap();
}

#[tokio::test]
async fn many_streams_at_once_are_all_answered() {
    let running = Arc::new(AtomicUsize::new(0));
    let app = Router::new().route(
        "/{n}",
        get(async move |axum::extract::Path(n): axum::extract::Path<usize>, headers: HeaderMap| {
            running.fetch_add(1, Ordering::Relaxed);
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
            assert!(headers.contains_key(header::HOST));
            Body::from("x".repeat(n * 1000))
        }),
    );
    let server = TestServer::new(app);
    let client = h2_client(&server).await;
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..90 {
        let mut client = client.clone();
        asked.spawn(async move {
            let mut client = {
                std::future::poll_fn(|cx| client.poll_ready(cx)).await.unwrap();
                client
            };
            let response =
                client.send_request(request(&format!("http://a/{n}")), true).unwrap().0.await.unwrap();
            let mut body = response.into_body();
            let mut length = 0;
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                length += data.len();
            }
            assert_eq!(length, n * 1000);
        });
    }
    while let Some(one) = soon(asked.join_next()).await {
        one.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_no_answer_to_wait_for() {
    let app = Router::new().route("/", post(async |body: Body| read_body(body).await.is_err().to_string()));
    let server = TestServer::new(app);
    let mut client = h2_client(&server).await;
    let mut post = with("http://a/", "content-length", &["10"]);
    *post.method_mut() = http::Method::POST;
    let (response, mut body) = client.send_request(post, false).unwrap();
    body.send_data("short".into(), true).unwrap();
    let error = tokio::time::timeout(HOUR, response).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::PROTOCOL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn trailers_count_to_the_limits_of_the_headers() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    for (trailers, status) in [(50, 200), (51, 431)] {
        let mut post = with("http://a/length", "x-a", &["1"; 49]); // and a Host
        *post.method_mut() = http::Method::POST;
        let (response, mut body) = client.send_request(post, false).unwrap();
        body.send_data("hello".into(), false).unwrap();
        let mut fields = HeaderMap::new();
        for _ in 0..trailers {
            fields.append("x-b", HeaderValue::from_static("1"));
        }
        body.send_trailers(fields).unwrap();
        assert_eq!(response.await.unwrap().status(), status, "{trailers} trailers");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_preface_gets_a_goaway() {
    let http2_only = || TestServer::builder(app()).protocols(kestrel_rs::Protocols::HTTP2).start();
    for octets in ["hello there\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"] {
        assert_eq!(goaway(&sent(&http2_only(), octets.as_bytes()).await), Some(1), "PROTOCOL_ERROR");
    }
}

/// What it has to say finds no room, so it is still there when its time has come.
#[tokio::test(start_paused = true)]
async fn a_late_header_block_of_a_client_that_does_not_read_ends_its_connection() {
    let app = Router::new().route("/", get(async || vec![b'a'; 1 << 20]));
    let limits = Limits::default().min_response_data_rate(None).keep_alive_timeout(None);
    let mut server = TestServer::builder(app).limits(limits).with_shutdown_timeout(None).start();
    let mut connection = server.connect().await.unwrap();
    connection.send([http2_start(), frame(HEADERS, END, 1, GET_BLOCK)].concat()).await.unwrap();
    connection.send(frame(HEADERS, 1, 3, GET_BLOCK)).await.unwrap();
    tokio::time::sleep(secs(40)).await;
    let start = Instant::now();
    server.stop();
    soon(server.stopped()).await;
    assert!(start.elapsed() <= secs(1), "it was still there: {:?}", start.elapsed());
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Handlers that do what handlers do, well and badly.
fn zoo() -> Router {
    Router::new()
        .route("/echo", any(async |body: Body| body))
        .route("/read", any(async |body: Body| read_body(body).await.is_ok().to_string()))
        .route("/large", any(async || vec![b'a'; 300_000]))
        .route("/late", any(async || tokio::time::sleep(secs(3)).await))
        .route(
            "/panic",
            any(async || {
                assert!(std::hint::black_box(false), "boom");
            }),
        )
        .route(
            "/broken",
            any(async move || {
                let (out, body) = channel_body();
                tokio::spawn(async move {
                    _ = out.send(Ok("hello".into())).await;
                    _ = out.send(Err(std::io::ErrorKind::Other.into())).await;
                });
                ([(header::CONTENT_LENGTH, "10")], body)
            }),
        )
        .route(
            "/reset",
            any(async |reset: kestrel_rs::Reset, body: Body| {
                reset.stream(7);
                body
            }),
        )
        .route(
            "/keeps",
            any(async |body: Body| {
                // Somebody else holds the body for a while.
                tokio::spawn(async move {
                    tokio::time::sleep(secs(20)).await;
                    drop(body);
                });
            }),
        )
        .route("/tunnel", any(echo))
}

fn random_frames(random: &mut Random) -> Vec<u8> {
    const PATHS: [&str; 10] =
        ["/echo", "/read", "/large", "/late", "/panic", "/broken", "/reset", "/keeps", "/tunnel", "/none"];
    let mut octets = http2_start();
    let mut next = 1_u32;
    for _ in 0..random.below(60) {
        let stream =
            if random.below(3) == 0 { next } else { 2 * u32::try_from(random.below(12)).unwrap() + 1 };
        let flags = u8::try_from(random.pick(&[0, 0, 1, 1, 4, 5, 8, 9, 0x20, 0xff])).unwrap();
        match random.below(14) {
            0..5 => {
                let path = random.pick(&PATHS);
                let method: &[u8] =
                    random.pick(&[&b"\x82"[..], b"\x83", b"\x02\x04HEAD", b"\x02\x07CONNECT"]);
                let path = [&[4, u8::try_from(path.len()).unwrap()], path.as_bytes()].concat();
                let more: &[u8] = random.pick(&[
                    &b""[..],
                    b"",
                    b"\0\x06expect\x0c100-continue",
                    b"\0\x0econtent-length\x015",
                    b"\0\x09:protocol\x09websocket",
                    b"\0\x06cookie\x03a=1\0\x06cookie\x03b=2",
                ]);
                let block = [method, b"\x86", &path, b"\x41\x01a", more].concat();
                octets.extend(frame(HEADERS, 4 | (flags & 1), next, &block));
                next += 2;
            }
            5..8 => {
                octets.extend(frame(DATA, flags & 1, stream, &vec![7; random.pick(&[0, 1, 5, 300, 16_000])]));
            }
            8 => octets.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])),
            9 => octets.extend(frame(WINDOW_UPDATE, 0, random.pick(&[0, stream]), &[0, 0, 100, 1])),
            10 => octets.extend(frame(PING, flags & 1, 0, &[0; 8])),
            11 => octets.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, random.pick(&[0, 10, 200])])),
            12 => octets.extend(frame(HEADERS, 5, stream, b"\0\x03x-t\x011")),
            _ => {
                let kind = u8::try_from(random.below(12)).unwrap();
                let payload: Vec<u8> =
                    (0..random.below(12)).map(|_| random.pick(&[0, 1, 3, 0x82, 0xff])).collect();
                octets.extend(frame(kind, flags, random.pick(&[0, stream]), &payload));
            }
        }
    }
    octets
}

/// Whatever a client sends, its connection ends, and the server with it.
#[tokio::test(start_paused = true)]
async fn arbitrary_frames_end_with_their_connection() {
    for seed in 1..=400_u64 {
        let mut random = Random(u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15));
        let mut server = TestServer::builder(zoo()).with_shutdown_timeout(secs(30)).start();
        let (mut reader, mut writer) = tokio::io::split(server.connect().await.unwrap());
        let octets = random_frames(&mut random);
        let reads = random.below(4) > 0; // who is not read from need not read
        let reading = tokio::spawn(async move {
            let mut read = Vec::new();
            if reads {
                _ = reader.read_to_end(&mut read).await;
            }
            reader
        });
        let size = random.pick(&[1, 9, 100, 5000, 1 << 20]);
        for piece in octets.chunks(size) {
            let sent = tokio::time::timeout(secs(5), writer.write_all(piece)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
            if random.below(40) == 0 {
                tokio::time::sleep(secs(1)).await;
            }
        }
        match random.below(3) {
            0 => drop((writer, reading.abort())),
            1 => _ = tokio::time::timeout(secs(500), writer.shutdown()).await,
            _ => {}
        }
        server.stop();
        let start = Instant::now();
        soon(server.stopped()).await;
        assert!(start.elapsed() <= secs(32), "seed {seed}: {:?}", start.elapsed());
    }
}
