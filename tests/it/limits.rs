//! The limits of request and answer on the wire, over HTTP/1 and HTTP/2, at their three heights.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Version};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use kestrel_rs::request::{
    LimitError, MaxRequestBodySizeLayer, MinRequestBodyDataRateLayer, MinResponseDataRateLayer, RequestLimits,
};
use kestrel_rs::test::TestServer;
use kestrel_rs::{KestrelListener, Limits, MinDataRate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

async fn length(body: Bytes) -> String {
    body.len().to_string()
}

async fn length_or_500(body: Body) -> Result<String, StatusCode> {
    let body = body.collect().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(body.to_bytes().len().to_string())
}

async fn catches(body: Body) -> String {
    format!("caught {}", body.collect().await.is_err())
}

fn app() -> Router {
    let raised = async |limits: RequestLimits, body: Body| {
        limits.set_max_request_body_size(1000)?;
        length_or_500(body)
            .await
            .map_err(|_| unreachable!("the limit was raised"))
            .map(Ok::<_, LimitError>)?
    };
    let late = async |limits: RequestLimits, mut body: Body| {
        body.frame().await.unwrap().unwrap();
        limits.set_max_request_body_size(1).map(|()| "set")
    };
    let at_leisure = async |body: Body| {
        sleep(Duration::from_secs(60)).await;
        length_or_500(body).await
    };
    let unhurried = async |limits: RequestLimits, body: Body| {
        limits.set_min_request_body_data_rate(None).unwrap();
        length_or_500(body).await
    };
    let slow = MinDataRate::new(1.0, Duration::from_secs(2)).unwrap();
    Router::new()
        .route("/", post(length_or_500))
        .route("/bytes", post(length))
        .route("/ignore", post(async || "ignored"))
        .route("/catch", post(catches))
        .route("/stream", post(async |body: Body| body))
        .route("/route", post(length_or_500).layer(MaxRequestBodySizeLayer::new(200)))
        .route("/raised", post(raised))
        .route("/late", post(late))
        .route("/leisure", post(at_leisure))
        .route("/unhurried", post(unhurried))
        .route("/slow", post(length_or_500).layer(MinRequestBodyDataRateLayer::new(slow)))
        .route("/get", get(async || "got"))
}

fn server() -> TestServer {
    TestServer::builder(app()).limits(Limits::default().max_request_body_size(100)).start()
}

/// Everything that the server says to these octets, until it ends the connection.
async fn say(octets: &str) -> String {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send(octets).await.unwrap();
    connection.read_to_end().await.unwrap()
}

fn post_h1(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")
}

fn bare(answer: &str, status: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
    assert!(answer.contains("\r\ncontent-length: 0\r\n"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_declared_length_over_the_limit_is_413_at_the_first_read() {
    bare(&say(&post_h1("/", 101)).await, "413 Payload Too Large");
    let by_axum = say(&post_h1("/bytes", 101)).await;
    assert!(by_axum.starts_with("HTTP/1.1 413 "), "{by_axum}");
    assert!(by_axum.contains("connection: close"), "{by_axum}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_answers_and_the_connection_ends() {
    let started = Instant::now();
    let answer = say(&post_h1("/ignore", 101)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("ignored"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(1), "nobody waits for the body");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_served_behind_a_body_that_is_too_large_though_all_of_it_is_there() {
    for path in ["/", "/ignore", "/catch"] {
        let request = post_h1(path, 101) + &"x".repeat(101);
        let answers = say(&(request + "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_catches_the_failure_answers_and_the_connection_ends() {
    let answer = say(&post_h1("/catch", 101)).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("caught true"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_framing_of_chunks_counts() {
    let body = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"; // 11 octets of data, 26 in all
    for (limit, status) in [(11, 413), (25, 413), (26, 200)] {
        let server =
            TestServer::builder(app()).limits(Limits::default().max_request_body_size(limit)).start();
        let mut connection = server.connect().await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.send(format!("{head}{body}")).await.unwrap();
        let answer = connection.read_to_end().await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{limit}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_framing_of_one_request_does_not_count_for_the_next() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    let body = "1\r\nx\r\n".repeat(15) + "0\r\n\r\n"; // 95
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    connection.send(request.repeat(3)).await.unwrap();
    for _ in 0..3 {
        let answer = connection.read_until("\r\n\r\n15").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_chunks_of_one_octet_arrive_as_few_frames() {
    let frames = async |mut body: Body| {
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            frame.unwrap();
            count += 1;
        }
        (count < 100).to_string()
    };
    let server = TestServer::new(Router::new().route("/", post(frames)));
    let mut connection = server.connect().await.unwrap();
    let body = "1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n";
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(format!("{head}{body}")).await.unwrap();
    let answer = connection.read_to_end().await.unwrap();
    assert!(answer.ends_with("true"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn the_size_is_set_at_three_heights_and_not_too_late() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let server = server();
        let send = async |path: &str, octets: usize| {
            let request = Request::post(path).version(version).body(vec![b'x'; octets].into()).unwrap();
            server.request(request).await.unwrap().status().as_u16()
        };
        assert_eq!(send("/", 100).await, 200);
        assert_eq!(send("/", 101).await, 413, "{version:?}");
        assert_eq!(send("/route", 200).await, 200);
        assert_eq!(send("/route", 201).await, 413);
        assert_eq!(send("/raised", 1000).await, 200);
        assert_eq!(send("/late", 10).await, 500);
        assert_eq!(send("/", 101).await, 413, "the server's again");
    }
}

#[tokio::test(start_paused = true)]
async fn on_http2_the_413_is_followed_by_a_reset_without_an_error() {
    let server = server();
    let (client, connection) = h2::client::handshake(server.connect().await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::post("http://localhost/").body(()).unwrap();
    let mut client = client.ready().await.unwrap();
    for declared in [true, false] {
        let mut request = request();
        if declared {
            request.headers_mut().insert("content-length", 101.into());
        }
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(vec![b'x'; if declared { 50 } else { 101 }].into(), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["content-length"], "0");
        assert!(!response.headers().contains_key("connection"));
        let reason = std::future::poll_fn(|cx| body.poll_reset(cx)).await.unwrap();
        assert_eq!(reason, h2::Reason::NO_ERROR, "declared: {declared}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_408() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    let started = Instant::now();
    connection.send(post_h1("/", 10) + "abc").await.unwrap();
    bare(&connection.read_to_end().await.unwrap(), "408 Request Timeout");
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(6), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn axums_extractors_end_in_408_too() {
    let answer = say(&(post_h1("/bytes", 10) + "abc")).await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("Failed to buffer"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_catches_the_408_answers_and_the_connection_ends() {
    let answer = say(&(post_h1("/catch", 10) + "abc")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("caught true"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_is_cut() {
    let answer = say(&(post_h1("/stream", 10) + "abc")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("abc"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_read_after_a_minute_is_free() {
    let server = server();
    let mut connection = server.connect().await.unwrap();
    connection.send(post_h1("/leisure", 2) + "a").await.unwrap();
    sleep(Duration::from_secs(62)).await;
    connection.send("b").await.unwrap();
    let answer = connection.read_until("\r\n\r\n2").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Posts `octets` each second for `seconds`; the status, or none if the stream broke.
async fn drip(version: Version, path: &str, octets: usize, seconds: u32) -> Option<u16> {
    let server = TestServer::new(app());
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut piece = 250; // a second and a bit ahead
        for _ in 0..=seconds {
            if sender.send_data(vec![b'x'; piece].into()).await.is_err() {
                return;
            }
            piece = octets;
            sleep(Duration::from_secs(1)).await;
        }
    });
    let request = Request::post(path).version(version).body(Body::new(body)).unwrap();
    server.request(request).await.ok().map(|response| response.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn the_rate_divides_239_from_241_bytes_a_second() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(drip(version, "/", 239, 60).await, Some(408), "{version:?}");
        assert_eq!(drip(version, "/", 241, 60).await, Some(200), "{version:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_set_at_three_heights() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(drip(version, "/", 10, 60).await, Some(408), "{version:?}");
        assert_eq!(drip(version, "/slow", 10, 60).await, Some(200), "{version:?}");
        assert_eq!(drip(version, "/unhurried", 10, 60).await, Some(200), "{version:?}");
    }
}

fn large() -> Router {
    let large = async || Bytes::from(vec![b'x'; 10_000_000]);
    let lifted = async |limits: RequestLimits| {
        limits.set_min_response_data_rate(None).unwrap();
        Bytes::from(vec![b'x'; 10_000_000])
    };
    Router::new()
        .route("/", get(large))
        .route("/route", get(large).layer(MinResponseDataRateLayer::new(None)))
        .route("/handler", get(lifted))
}

/// How many octets of a large answer a client gets that takes nothing for a day.
async fn take_late(path: &str) -> usize {
    let rate = MinDataRate::new(1e6, Duration::from_secs(2)).unwrap();
    let limits = Limits::default().min_response_data_rate(rate);
    let server = TestServer::builder(large()).limits(limits).start();
    let mut connection = server.connect().await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    connection.send(request).await.unwrap();
    sleep(Duration::from_secs(24 * 3600)).await;
    let mut read = Vec::new();
    let _ = AsyncReadExt::read_to_end(&mut connection, &mut read).await;
    read.len()
}

#[tokio::test(start_paused = true)]
async fn the_response_rate_is_set_at_three_heights_on_http1() {
    assert!(take_late("/").await < 10_000_000);
    assert!(take_late("/route").await > 10_000_000);
    assert!(take_late("/handler").await > 10_000_000);
}

#[tokio::test(start_paused = true)]
async fn the_response_rate_of_one_request_is_not_that_of_the_next() {
    let rate = MinDataRate::new(1e6, Duration::from_secs(2)).unwrap();
    let app = large().route("/small", get(async || "small").layer(MinResponseDataRateLayer::new(None)));
    let server = TestServer::builder(app).limits(Limits::default().min_response_data_rate(rate)).start();
    let mut connection = server.connect().await.unwrap();
    connection.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    connection.read_until("small").await.unwrap();
    connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(24 * 3600)).await;
    let mut read = Vec::new();
    let _ = AsyncReadExt::read_to_end(&mut connection, &mut read).await;
    assert!(read.len() < 10_000_000);
}

/// Whether a client on HTTP/2 gets all of a large answer of which it takes nothing for a minute.
async fn take_late_h2(path: &str) -> bool {
    let rate = MinDataRate::new(1e6, Duration::from_secs(2)).unwrap();
    let limits = Limits::default().min_response_data_rate(rate);
    let server = TestServer::builder(large()).limits(limits).start();
    let stream = hyper_util::rt::TokioIo::new(server.connect().await.unwrap());
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("http://localhost{path}")).body(Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    sleep(Duration::from_secs(60)).await;
    let whole = response.into_body().collect().await.is_ok();
    let request = Request::get("http://localhost/none").body(Body::empty()).unwrap();
    client.ready().await.unwrap();
    assert_eq!(client.send_request(request).await.unwrap().status(), 404, "the connection lives");
    whole
}

#[tokio::test(start_paused = true)]
async fn the_response_rate_is_set_at_three_heights_on_http2() {
    assert!(!take_late_h2("/").await);
    assert!(take_late_h2("/route").await);
    assert!(take_late_h2("/handler").await);
}

#[tokio::test]
async fn a_client_that_goes_on_sending_can_read_its_413() {
    let listener = KestrelListener::builder()
        .limits(Limits::default().max_request_body_size(1000))
        .endpoint(kestrel_rs::Endpoint::ip(([127, 0, 0, 1], 0)))
        .bind()
        .await
        .unwrap();
    let address = listener.local_addrs()[0].socket_addr().unwrap();
    tokio::spawn(kestrel_rs::serve(app()).listener(listener).into_future());
    for head in ["Content-Length: 50000000", "Transfer-Encoding: chunked"] {
        let (mut read, mut write) = tokio::net::TcpStream::connect(address).await.unwrap().into_split();
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
        let sending = tokio::spawn(async move {
            write.write_all(head.as_bytes()).await?;
            let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
            for _ in 0..20_000 {
                write.write_all(chunk.as_bytes()).await?;
            }
            Ok::<_, io::Error>(())
        });
        sleep(Duration::from_millis(200)).await;
        let mut answer = String::new();
        read.read_to_string(&mut answer).await.unwrap();
        bare(&answer, "413 Payload Too Large");
        let _ = sending.await;
    }
}
