//! Connections that become something other than HTTP.

use axum::Router;
use axum::extract::Request;
use axum::extract::ws::Message::Close;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use kestrel_rs::test::TestServer;
use kestrel_rs::{ConnectionInfo, Endpoint, KestrelListener, Limits};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;

use crate::frames::h2_client;
use crate::support::{
    GET, SocketServer, UPGRADE, answer, app, closed, exchange, octets, quiet, really_soon, secs, soon, tunnel,
};

#[tokio::test]
async fn axums_web_sockets_work() {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.next().await {
                // A goodbye is answered by reading on.
                if !matches!(message, Close(_)) && socket.send(message).await.is_err() {
                    break;
                }
            }
        })
    };
    let server = SocketServer::new(Router::new().route("/", any(echo))).await;
    let stream = server.connect().await;
    let (mut client, response) =
        really_soon(tokio_tungstenite::client_async("ws://localhost/", stream)).await.unwrap();
    assert_eq!(response.status(), 101);
    for size in [0, 1, 1000, 1_000_000] {
        let message = Message::text("x".repeat(size));
        really_soon(client.send(message.clone())).await.unwrap();
        assert_eq!(really_soon(client.next()).await.unwrap().unwrap(), message);
    }
    really_soon(client.close(None)).await.unwrap();
    while let Some(message) = really_soon(client.next()).await {
        assert!(message.unwrap().is_close());
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_with_the_request_belongs_to_the_tunnel() {
    let server = TestServer::new(app());
    for early in ["", "early", GET, "\r\n\r\n", "\0nonsense"] {
        let mut client = server.connect().await.unwrap();
        let answer = exchange(&mut client, [UPGRADE, early].concat()).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("upgrade"), Some("raw"));
        assert_eq!(octets(&mut client, early.len()).await, early);
        client.send("late").await.unwrap();
        assert_eq!(octets(&mut client, 4).await, "late");
        client.finish().await.unwrap();
        closed(&mut client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn large_data_passes_a_tunnel() {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, UPGRADE).await.status, 101);
    let data = "0123456789".repeat(100_000);
    let (mut read, mut write) = tokio::io::split(client);
    let send = async { tokio::io::AsyncWriteExt::write_all(&mut write, data.as_bytes()).await };
    let (result, received) = tokio::join!(send, octets(&mut read, data.len()));
    result.unwrap();
    assert_eq!(received, data);
}

#[tokio::test(start_paused = true)]
async fn a_refused_upgrade_leaves_a_connection_of_requests() {
    let server = TestServer::new(app());
    let refused = UPGRADE.replace("/tunnel", "/");
    let mut client = server.connect().await.unwrap();
    for _ in 0..2 {
        let answer = exchange(&mut client, &refused).await;
        assert_eq!((answer.status, answer.body.as_str(), answer.closes()), (200, "hello", false));
    }
    // What is pipelined behind it is a request, too.
    client.send(format!("{refused}{GET}{refused}{GET}")).await.unwrap();
    for _ in 0..4 {
        assert_eq!(answer(&mut client).await.body, "hello");
    }
    client.send(format!("{refused}GET /after/5 HT")).await.unwrap();
    assert_eq!(answer(&mut client).await.body, "hello");
    assert_eq!(exchange(&mut client, "TP/1.1\r\nHost: a\r\n\r\n").await.body, "after");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_waits_for_nothing_that_follows() {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    client.send(format!("{}nonsense\r\n\r\n", UPGRADE.replace("/tunnel", "/"))).await.unwrap();
    assert_eq!(answer(&mut client).await.status, 200);
    assert_eq!(answer(&mut client).await.status, 400);
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn over_the_limit_an_upgrade_is_a_500() {
    let limits = Limits::default().max_concurrent_upgraded_connections(1);
    let server = TestServer::builder(app()).limits(limits).start();
    for _ in 0..2 {
        let mut first = server.connect().await.unwrap();
        assert_eq!(exchange(&mut first, UPGRADE).await.status, 101);
        let mut second = server.connect().await.unwrap();
        for _ in 0..2 {
            let answer = exchange(&mut second, UPGRADE).await;
            assert_eq!((answer.status, answer.header("upgrade")), (500, None));
            assert_eq!(exchange(&mut second, GET).await.status, 200);
        }
        first.send("works").await.unwrap();
        assert_eq!(octets(&mut first, 5).await, "works");
        first.finish().await.unwrap();
        closed(&mut first).await;
        drop(first);
        tokio::time::sleep(secs(1)).await;
        assert_eq!(exchange(&mut second, UPGRADE).await.status, 101);
        drop(second);
        tokio::time::sleep(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_of_http2_counts_to_the_limit_and_is_told_of_the_end() {
    let told = async |connection: ConnectionInfo, mut request: Request| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            connection.close_requested().await;
            stream.write_all(b"goodbye").await.unwrap();
        });
        StatusCode::OK
    };
    let limits = Limits::default().max_concurrent_upgraded_connections(1);
    let mut server = TestServer::builder(app().route("/told", any(told))).limits(limits).start();
    let mut client = h2_client(&server).await;
    let connect = || {
        let mut request = http::Request::builder().method("CONNECT").uri("http://a/told").body(()).unwrap();
        request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
        request
    };
    while !client.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
    }
    let (first, _outgoing) = client.send_request(connect(), false).unwrap();
    let mut first = first.await.unwrap();
    assert_eq!(first.status(), 200);
    let (second, outgoing) = client.send_request(connect(), false).unwrap();
    assert_eq!(second.await.unwrap().status(), 500);
    let mut other = server.connect().await.unwrap();
    assert_eq!(exchange(&mut other, UPGRADE).await.status, 500);
    sleep(secs(3600)).await;
    server.stop();
    assert_eq!(first.body_mut().data().await.unwrap().unwrap(), "goodbye");
    drop(first);
    drop((outgoing, client, other));
    soon(server.stopped()).await;
}

#[tokio::test]
async fn endpoints_with_limits_of_their_own_count_upgrades_by_themselves() {
    let any_port = || Endpoint::ip(([127, 0, 0, 1], 0));
    let limit = |limit: Option<usize>| Limits::default().max_concurrent_upgraded_connections(limit);
    let listener = KestrelListener::builder()
        .limits(limit(Some(1)))
        .endpoint(any_port())
        .endpoint(any_port())
        .endpoint(any_port().limits(limit(None)))
        .endpoint(any_port().limits(limit(Some(1))))
        .bind()
        .await
        .unwrap();
    let ports: Vec<_> = listener.local_addrs().iter().map(|addr| addr.socket_addr().unwrap()).collect();
    let _server = SocketServer::on(listener, app());
    let mut open = Vec::new();
    for (endpoint, expected) in [(2, 101), (2, 101), (0, 101), (0, 500), (1, 500), (3, 101), (3, 500)] {
        let mut client = tokio::net::TcpStream::connect(ports[endpoint]).await.unwrap();
        client.write_all(UPGRADE.as_bytes()).await.unwrap();
        assert_eq!(really_soon(answer(&mut client)).await.status, expected, "endpoint {endpoint}");
        open.push(client);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgraded_connection_does_not_count_to_the_limit_for_connections() {
    let limits = Limits::default().max_concurrent_connections(1);
    let server = TestServer::builder(app()).limits(limits).start();
    let mut tunnels = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, UPGRADE).await.status, 101);
        tunnels.push(client);
    }
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    closed(&mut server.connect().await.unwrap()).await;
    for client in &mut tunnels {
        client.send("works").await.unwrap();
        assert_eq!(octets(client, 5).await, "works");
    }
}

const CONNECT: &str = "CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_granted_connect_is_a_tunnel() {
    let server = TestServer::new(Router::new().fallback(tunnel));
    let mut client = server.connect().await.unwrap();
    let answer = exchange(&mut client, format!("{CONNECT}early")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(!answer.closes());
    assert_eq!(octets(&mut client, 5).await, "early");
    quiet(&mut client, secs(1000)).await;
    client.finish().await.unwrap();
    closed(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_connect_leaves_the_connection_to_requests() {
    for status in
        [StatusCode::BAD_REQUEST, StatusCode::PROXY_AUTHENTICATION_REQUIRED, StatusCode::BAD_GATEWAY]
    {
        let server = TestServer::new(Router::new().fallback(any(move || async move { status })));
        let mut client = server.connect().await.unwrap();
        for request in [CONNECT, GET] {
            let answer = exchange(&mut client, request).await;
            assert_eq!((answer.status, answer.header("content-length")), (status.as_u16(), Some("0")));
            assert!(!answer.closes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_body_cannot_be_upgraded() {
    let upgradable = |mut request: axum::extract::Request| async move {
        let upgrade = hyper::upgrade::on(&mut request);
        let body = crate::support::read_body(request.into_body()).await.unwrap();
        format!("{} {}", std::str::from_utf8(&body).unwrap(), upgrade.await.is_ok())
    };
    let server = TestServer::new(Router::new().route("/", any(upgradable)).route("/get", get(|| async {})));
    for body in
        ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    {
        let mut client = server.connect().await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n{body}");
        assert_eq!(exchange(&mut client, request).await.body, "hello false");
        assert_eq!(exchange(&mut client, GET.replace("/ ", "/get ")).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_not_held_to_the_rate_of_the_answer_before_it() {
    const OCTETS: usize = 10_000_000;
    async fn floods(mut request: Request) -> impl IntoResponse {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            stream.write_all(&vec![b'x'; OCTETS]).await.unwrap();
        });
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "Upgrade"), ("upgrade", "raw")])
    }
    let server = TestServer::new(app().route("/floods", any(floods)));
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    let upgrade = UPGRADE.replace("/tunnel", "/floods");
    assert_eq!(exchange(&mut client, upgrade).await.status, 101);
    sleep(secs(30)).await;
    assert_eq!(octets(&mut client, OCTETS).await.len(), OCTETS);
}

#[tokio::test(start_paused = true)]
async fn a_request_of_http_1_0_is_not_upgraded() {
    let upgrade = |request: Request| async move {
        request.extensions().get::<hyper::upgrade::OnUpgrade>().is_some().to_string()
    };
    let server = TestServer::new(Router::new().route("/tunnel", any(upgrade)));
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, UPGRADE).await.body, "true");
    let http10 = UPGRADE.replace("HTTP/1.1", "HTTP/1.0").replace("Upgrade\r\n", "Upgrade, keep-alive\r\n");
    // What follows is a request.
    for _ in 0..2 {
        client.send(http10.repeat(2)).await.unwrap();
        for _ in 0..2 {
            let answer = answer(&mut client).await;
            assert_eq!((answer.status, &*answer.body), (200, "false"));
        }
    }
    let without_length = http10.replace("GET", "POST");
    assert_eq!(exchange(&mut client, without_length).await.status, 400);
}
