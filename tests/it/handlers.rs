//! What a handler sees of its request and its connection, and what becomes of its answer.

use std::io;
use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, OriginalUri, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use http::{StatusCode, Uri};
use kestrel_rs::request::BodyError;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{ConnectionInfo, RequestAborted, RequestId};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::{
    DropTime, GET, SocketServer, answer, app, channel_body, closed, exchange, octets, quiet, read_body,
    really_soon, reset, rest, secs, soon, took, until,
};

async fn connect(server: &TestServer) -> TestConnection {
    server.connect().await.unwrap()
}

fn get_path(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[tokio::test(start_paused = true)]
async fn knows_its_connection() {
    let app = Router::new().route(
        "/",
        get(|connection: ConnectionInfo, ConnectInfo(address): ConnectInfo<SocketAddr>| async move {
            assert_eq!(connection.remote_addr(), Some(address));
            assert_eq!(connection.local_addr().unwrap().port(), 80);
            assert!(!connection.is_closed());
            connection.endpoint().to_owned()
        }),
    );
    let server = TestServer::new(app);
    assert_eq!(exchange(&mut connect(&server).await, GET).await.body, "memory");
    let request = Request::builder().version(http::Version::HTTP_2).uri("/").body(Body::empty()).unwrap();
    assert_eq!(server.request(request).await.unwrap().body(), "memory");
}

#[tokio::test(start_paused = true)]
async fn a_request_cut_behind_the_one_in_work_does_not_cost_its_answer() {
    let server = TestServer::new(app());
    for cut in
        ["POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", "POST /echo HTTP/1.1\r\nHost"]
    {
        let mut client = connect(&server).await;
        client.send([&get_path("/after/1"), cut].concat()).await.unwrap();
        client.finish().await.unwrap();
        assert_eq!(answer(&mut client).await.body, "after", "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn ids_are_values_in_the_order_of_their_connections_and_requests() {
    let (sender, mut receiver) = mpsc::channel(4);
    let app = Router::new().route("/", get(async move |id: RequestId| sender.send(id).await.unwrap()));
    let server = TestServer::new(app);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&server).await;
        for number in 1..=2 {
            assert_eq!(exchange(&mut client, GET).await.status, 200);
            let id = receiver.recv().await.unwrap();
            assert_eq!(id.number(), number);
            assert_eq!(id.to_string(), format!("{}:{number:08X}", id.connection()));
            assert_eq!(format!("{id:?}"), format!("RequestId({id})"));
            let spelt = u64::from_str_radix(&id.connection().to_string(), 32).unwrap();
            assert_eq!(id.connection().as_u64(), spelt);
            ids.push(id);
        }
    }
    assert!(ids.is_sorted() && ids[0].connection() == ids[1].connection(), "{ids:?}");
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn requests_are_numbered_on_their_connection() {
    let app = Router::new().route(
        "/",
        get(|id: RequestId, connection: ConnectionInfo| async move {
            Json([id.to_string(), connection.id().to_string()])
        }),
    );
    let server = TestServer::new(app);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&server).await;
        for number in 1..=3 {
            let body = exchange(&mut client, GET).await.body;
            let [id, connection]: [String; 2] = serde_json::from_str(&body).unwrap();
            assert_eq!(id, format!("{connection}:{number:08X}"));
            assert_eq!(connection.len(), 13);
            ids.push(connection);
            // A connection that slept goes on counting.
            sleep(secs(10)).await;
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn is_told_when_its_client_says_no_more_and_may_still_answer() {
    let app = Router::new().route(
        "/",
        get(|aborted: RequestAborted| async move {
            assert!(!aborted.is_aborted());
            aborted.aborted().await;
            sleep(secs(10)).await;
            "told"
        }),
    );
    let server = TestServer::new(app);
    for before in ["", "a request behind: GET / HT"] {
        let mut client = connect(&server).await;
        client.send(GET).await.unwrap();
        sleep(secs(1)).await;
        let start = Instant::now();
        client.send(before).await.unwrap();
        client.finish().await.unwrap();
        assert_eq!(answer(&mut client).await.body, "told");
        took(start, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn is_not_told_once_its_answer_is_complete() {
    let (sender, mut receiver) = mpsc::channel(1);
    let app = Router::new().route(
        "/",
        get(move |aborted: RequestAborted| async move {
            sender.send(aborted).await.unwrap();
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    let aborted = receiver.recv().await.unwrap();
    client.finish().await.unwrap();
    closed(&mut client).await;
    sleep(secs(10)).await;
    assert!(!aborted.is_aborted());
}

#[tokio::test]
async fn is_dropped_where_it_waits_when_its_client_resets() {
    let (guard, mut dropped) = DropTime::new();
    let (running, mut handlers) = mpsc::channel(1);
    let guard = std::sync::Arc::new(std::sync::Mutex::new(Some(guard)));
    let app = Router::new().route(
        "/",
        get(move |aborted: RequestAborted| async move {
            let _guard = guard.lock().unwrap().take();
            running.send(aborted).await.unwrap();
            std::future::pending::<()>().await;
        }),
    );
    let server = SocketServer::new(app).await;
    let mut client = server.connect().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    let aborted = really_soon(handlers.recv()).await.unwrap();
    socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    assert!(really_soon(dropped.recv()).await.is_some());
    assert!(aborted.is_aborted());
}

#[tokio::test(start_paused = true)]
async fn may_abort_its_connection() {
    let (sender, mut receiver) = mpsc::channel(1);
    let app = Router::new().route(
        "/",
        get(move |connection: ConnectionInfo, aborted: RequestAborted| async move {
            connection.abort();
            sender.send((connection, aborted)).await.unwrap();
            "never sent"
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(GET.repeat(2)).await.unwrap();
    reset(&mut client).await;
    let (connection, aborted) = receiver.recv().await.unwrap();
    assert!(aborted.is_aborted());
    soon(connection.closed()).await;
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn is_told_of_an_abort_after_its_answer_has_begun() {
    let (sender, mut receiver) = mpsc::channel(1);
    let app = Router::new().route(
        "/",
        get(move |connection: ConnectionInfo, aborted: RequestAborted| async move {
            let (pieces, body) = channel_body();
            tokio::spawn(async move {
                pieces.send(Ok("hello".into())).await.unwrap();
                sleep(secs(1)).await;
                connection.abort();
                aborted.aborted().await;
                sender.send(()).await.unwrap();
            });
            body
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(GET).await.unwrap();
    soon(receiver.recv()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn may_have_its_connection_closed_after_its_answer() {
    let (sender, mut receiver) = mpsc::channel(1);
    let app = Router::new().route(
        "/",
        get(move |connection: ConnectionInfo| async move {
            connection.request_close();
            soon(connection.close_requested()).await;
            let task = connection.clone();
            tokio::spawn(async move {
                task.closed().await;
                sender.send(Instant::now()).await.unwrap();
            });
            sleep(secs(10)).await;
            assert!(!connection.is_closed());
            "bye"
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    let start = Instant::now();
    client.send(GET.repeat(2)).await.unwrap();
    let answer = answer(&mut client).await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("bye", true));
    closed(&mut client).await;
    drop(client);
    took(start, 10);
    soon(receiver.recv()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn may_have_its_connection_closed_though_its_answer_has_begun() {
    let app = Router::new().route(
        "/",
        get(|connection: ConnectionInfo| async move {
            let (pieces, body) = channel_body();
            tokio::spawn(async move {
                pieces.send(Ok("bye".into())).await.unwrap();
                sleep(secs(1)).await;
                connection.request_close();
            });
            body
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(GET.repeat(2)).await.unwrap();
    let text = rest(&mut client).await;
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
    assert!(text.ends_with("3\r\nbye\r\n0\r\n\r\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn gets_the_path_normalised_and_the_target_as_it_came() {
    let app = Router::new()
        .fallback(any(|OriginalUri(raw): OriginalUri, uri: Uri| async move { format!("{raw} {uri}") }));
    let server = TestServer::new(app);
    for (target, path) in [("/a/../b?c=../d", "/b?c=../d"), ("/a/./b", "/a/b"), ("/plain?q", "/plain?q")] {
        let answer = exchange(&mut connect(&server).await, get_path(target)).await;
        assert_eq!(answer.body, format!("{target} {path}"));
    }
}

fn http10() -> Router {
    Router::new()
        .route("/", any(|request: Request| async move { format!("{:?}", request.version()) }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route(
            "/stream",
            get(|| async {
                Body::from_stream(futures_util::stream::iter(["ab", "cd"].map(Ok::<_, io::Error>)))
            }),
        )
}

#[tokio::test(start_paused = true)]
async fn http_1_0_closes_unless_asked_to_stay() {
    let server = TestServer::new(http10());
    let mut client = connect(&server).await;
    let answer = exchange(&mut client, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.body, "HTTP/1.0");
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n") && answer.closes(), "{answer:?}");
    closed(&mut client).await;

    let mut client = connect(&server).await;
    for _ in 0..2 {
        let answer = exchange(&mut client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
        assert_eq!(answer.body, "HTTP/1.0");
        assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        assert_eq!(answer.header("connection").map(str::to_lowercase).as_deref(), Some("keep-alive"));
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_gets_an_answer_of_unknown_length_up_to_the_end_of_the_connection() {
    let server = TestServer::new(http10());
    for keep_alive in ["", "Connection: keep-alive\r\n"] {
        let mut client = connect(&server).await;
        client.send(format!("GET /stream HTTP/1.0\r\n{keep_alive}\r\n")).await.unwrap();
        let text = rest(&mut client).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "abcd");
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        assert!(head.contains("connection: close") && !head.contains("transfer-encoding"), "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_may_send_a_chunked_body() {
    let server = TestServer::new(http10());
    let request = "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(exchange(&mut connect(&server).await, request).await.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn http_1_0_with_a_transfer_coding_closes_after_its_answer() {
    let server = TestServer::new(http10());
    for path in ["/echo", "/"] {
        let mut client = connect(&server).await;
        let request = format!(
            "POST {path} HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{GET}"
        );
        let answer = exchange(&mut client, request).await;
        assert_eq!(answer.status, 200);
        assert!(answer.closes(), "{}", answer.head);
        closed(&mut client).await;
    }
}

/// The connection options of an answer.
fn options(answer: &crate::support::Answer) -> Vec<String> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    let lines = lines.filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    lines.flat_map(|(_, value)| value.split(',').map(|option| option.trim().to_lowercase())).collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_its_connection_does_not_say_keep_alive() {
    async fn with_options(
        path: axum::extract::Path<String>,
        connection: kestrel_rs::ConnectionInfo,
    ) -> Response {
        let (options, how) = path.split_once('+').unwrap();
        let body = match how {
            "stream" => Body::from_stream(futures_util::stream::iter(["ab"].map(Ok::<_, io::Error>))),
            _ => Body::from("ab"),
        };
        if how == "close" {
            connection.request_close();
        }
        let mut response = Response::new(body);
        for option in options.split(';') {
            response.headers_mut().append("connection", option.parse().unwrap());
        }
        response
    }
    let server = TestServer::new(Router::new().route("/{how}", get(with_options)));
    for (options_of_handler, expected) in [
        ("keep-alive", &["close"][..]),
        ("Keep-Alive;close", &["close"]),
        ("close,keep-alive", &["close"]),
        ("x,keep-alive", &["x", "close"]),
        ("keep-alive;x", &["x", "close"]),
    ] {
        for (version, how, line) in [
            ("1.0", "", ""),
            ("1.0", "stream", "Connection: keep-alive\r\n"),
            ("1.1", "", "Connection: close\r\n"),
            ("1.1", "close", ""),
        ] {
            let mut client = connect(&server).await;
            let request = format!("GET /{options_of_handler}+{how} HTTP/{version}\r\nHost: a\r\n{line}\r\n");
            client.send(request.clone()).await.unwrap();
            let text = rest(&mut client).await;
            let head = text.split_once("\r\n\r\n").unwrap().0.to_owned();
            let answer = crate::support::Answer { status: 200, head, body: String::new() };
            assert_eq!(options(&answer), expected, "{request}{text}");
        }
    }
    // One that stays does.
    let mut client = connect(&server).await;
    let answer = exchange(&mut client, "GET /keep-alive+ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(options(&answer), ["keep-alive"]);
    assert_eq!(exchange(&mut client, "GET /keep-alive+ HTTP/1.1\r\nHost: a\r\n\r\n").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_length_that_chunks_overrule_is_kept_aside_and_the_connection_closes() {
    let app = Router::new().route(
        "/",
        post(|request: Request| async move {
            let headers = request.headers();
            assert!(!headers.contains_key("content-length"));
            let length = headers["x-content-length"].to_str().unwrap().to_owned();
            length + std::str::from_utf8(&read_body(request.into_body()).await.unwrap()).unwrap()
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = exchange(&mut client, format!("{request}{GET}")).await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("99hello", true));
    closed(&mut client).await;
}

const EXPECTS: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_is_told_to_send_its_body_when_it_is_read() {
    let server = TestServer::new(app());
    let mut client = connect(&server).await;
    for _ in 0..2 {
        client.send(EXPECTS).await.unwrap();
        assert_eq!(until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        quiet(&mut client, secs(1)).await;
        assert_eq!(exchange(&mut client, "hello").await.body, "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_is_told_nothing() {
    let server = TestServer::new(app());
    for request in
        [format!("{EXPECTS}hello"), format!("{EXPECTS}he"), EXPECTS.replace("HTTP/1.1", "HTTP/1.0")]
    {
        let mut client = connect(&server).await;
        client.send(&request).await.unwrap();
        sleep(secs(1)).await;
        let missing = 5 - request.split_once("\r\n\r\n").unwrap().1.len();
        let answer = exchange(&mut client, &"hello"[5 - missing..]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "hello"), "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_wanted_is_not_asked_for() {
    let server = TestServer::new(app());
    let mut client = connect(&server).await;
    let answer = exchange(&mut client, EXPECTS.replace("/echo", "/unread")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    // The client may send it all the same.
    client.send("01234").await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.body, "hello");
}

/// Answers at once and reads the body meanwhile.
async fn answers_early(framing: &str, pieces: [&str; 3]) {
    let (sender, mut receiver) = mpsc::channel(1);
    let app = Router::new().route(
        "/",
        post(move |body: Body| async move {
            tokio::spawn(async move { sender.send(read_body(body).await.unwrap()).await });
            "early"
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{}", pieces[0])).await.unwrap();
    assert_eq!(answer(&mut client).await.body, "early");
    for piece in &pieces[1..] {
        sleep(secs(1)).await;
        client.send(piece).await.unwrap();
    }
    assert_eq!(soon(receiver.recv()).await.unwrap(), "onetwosix");
    assert_eq!(exchange(&mut client, GET).await.status, 405);
}

#[tokio::test(start_paused = true)]
async fn may_answer_before_the_body_has_come_to_its_end() {
    answers_early("Content-Length: 9", ["one", "two", "six"]).await;
    let chunks = ["3\r\none\r\n", "3\r\ntwo\r\n", "3\r\nsix\r\n0\r\n\r\n"];
    answers_early("Transfer-Encoding: chunked", chunks).await;
}

#[tokio::test(start_paused = true)]
async fn may_answer_before_the_trailers_have_come() {
    let chunks = ["3\r\none\r\n", "3\r\ntwo\r\n", "3\r\nsix\r\n0\r\nT: t\r\n\r\n"];
    answers_early("Transfer-Encoding: chunked", chunks).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_500_and_the_connection_goes_on() {
    async fn panics() -> StatusCode {
        panic!("on purpose")
    }
    let server = TestServer::new(app().route("/panic", any(panics)));
    let mut client = connect(&server).await;
    for request in
        [get_path("/panic"), "POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi".into()]
    {
        let answer = exchange(&mut client, request).await;
        assert_eq!((answer.status, answer.header("content-length")), (500, Some("0")));
        assert!(!answer.closes());
    }
    assert_eq!(exchange(&mut client, GET).await.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fails_half_way_ends_without_its_last_chunk() {
    let app = Router::new().route(
        "/",
        get(|| async {
            let (sender, body) = channel_body();
            sender.send(Ok("data".into())).await.unwrap();
            sender.send(Err(io::Error::other("on purpose"))).await.unwrap();
            body
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(GET.repeat(2)).await.unwrap();
    let text = rest(&mut client).await;
    assert_eq!(text.split_once("\r\n\r\n").unwrap().1, "4\r\ndata\r\n");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_panics_half_way_ends_without_its_last_chunk() {
    let app = Router::new().route(
        "/",
        get(|| async {
            let chunks = futures_util::stream::unfold(0, |n| async move {
                assert!(n < 2, "on purpose");
                sleep(secs(1)).await;
                Some((Ok::<_, io::Error>("data"), n + 1))
            });
            Body::from_stream(chunks)
        }),
    );
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    client.send(GET).await.unwrap();
    until(&mut client, "\r\n\r\n").await;
    assert_eq!(octets(&mut client, 9).await, "4\r\ndata\r\n");
    assert!(!soon(client.read_to_end()).await.is_ok_and(|text| text.contains('0')));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_gets_no_answer() {
    let (sender, mut receiver) = mpsc::channel(4);
    let app = Router::new().route(
        "/",
        post(move |body: Body| async move {
            let error = read_body(body).await.unwrap_err();
            sender.send(BodyError::find(&error).unwrap()).await.unwrap();
            StatusCode::IM_A_TEAPOT.into_response()
        }),
    );
    let server = TestServer::new(app);
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let mut client = connect(&server).await;
        client.send(request).await.unwrap();
        client.finish().await.unwrap();
        // An end or a reset, as long as it is empty.
        assert_eq!(soon(client.read_to_end()).await.unwrap_or_default(), "");
        assert_eq!(soon(receiver.recv()).await.unwrap().status(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_gets_no_answer_though_nobody_reads_it() {
    let app = Router::new().route(
        "/",
        post(|| async {
            sleep(secs(1)).await;
            "answer"
        }),
    );
    let server = TestServer::new(app);
    for (length, sent, answers) in [(10, 3, 0), (10, 10, 1), (10_000, 9_999, 0), (10_000, 10_000, 1)] {
        let mut client = connect(&server).await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        client.send(head + &"x".repeat(sent)).await.unwrap();
        client.finish().await.unwrap();
        assert_eq!(rest(&mut client).await.matches("HTTP/1.1 200 OK").count(), answers, "{sent} of {length}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_are_framed_as_their_status_and_method_ask() {
    let app = Router::new()
        .route("/empty", any(|| async {}))
        .route("/none", any(|| async { StatusCode::NO_CONTENT }))
        .route("/same", any(|| async { StatusCode::NOT_MODIFIED }))
        .route("/text", any(|| async { "text" }))
        .route("/close", any(|| async { ([("connection", "close")], "bye") }));
    let server = TestServer::new(app);
    let mut client = connect(&server).await;
    assert_eq!(exchange(&mut client, get_path("/empty")).await.header("content-length"), Some("0"));
    for path in ["/none", "/same"] {
        let answer = exchange(&mut client, get_path(path)).await;
        assert_eq!(answer.header("content-length"), None, "{path}");
        assert_eq!(answer.header("transfer-encoding"), None, "{path}");
    }
    client.send(get_path("/text").replace("GET", "HEAD")).await.unwrap();
    let head = until(&mut client, "\r\n\r\n").await;
    assert!(head.contains("content-length: 4\r\n"), "{head}");
    assert_eq!(exchange(&mut client, get_path("/text")).await.body, "text");
    let answer = exchange(&mut client, get_path("/text")).await;
    assert_eq!(answer.header("server"), Some("kestrel-rs"));
    assert!(answer.header("date").is_some() && answer.header("connection").is_none());
    assert!(exchange(&mut client, get_path("/close")).await.closes());
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_to_close_is_closed_in_peace_though_its_body_was_not_read() {
    let server = TestServer::new(app());
    let mut client = connect(&server).await;
    let request = "POST /unread HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let answer = exchange(&mut client, request).await;
    assert_eq!((answer.status, answer.closes()), (200, true));
    closed(&mut client).await;
}
