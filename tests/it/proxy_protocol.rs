//! The PROXY protocol in front of HTTP.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use kestrel_rs::ConnectionInfo;
use kestrel_rs::connection::ProxyProtocolLayer;
use kestrel_rs::test::TestServer;
use tokio::time::Instant;

/// The address in memory is 127.0.0.1.
fn server(trusted: &str) -> TestServer {
    let whoami = get(async |info: ConnectionInfo| {
        format!(
            "{} {} {}",
            info.remote_addr().unwrap(),
            info.local_addr().unwrap(),
            info.peer_addr().unwrap()
        )
    });
    TestServer::builder(Router::new().route("/", whoami))
        .layer(ProxyProtocolLayer::trusting([trusted]).unwrap())
        .start()
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const HEADER: &str = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

#[tokio::test]
async fn a_trusted_proxy_says_who_the_client_is() {
    let server = server("127.0.0.0/8");
    let mut proxy = server.connect().await.unwrap();
    proxy.send(format!("{HEADER}{REQUEST}")).await.unwrap();
    let answer = proxy.read_to_end().await.unwrap();
    assert!(answer.ends_with("192.0.2.1:56324 198.51.100.1:443 127.0.0.1:49152"), "{answer}");

    let mut itself = server.connect().await.unwrap();
    itself.send(format!("PROXY UNKNOWN\r\n{REQUEST}")).await.unwrap();
    let answer = itself.read_to_end().await.unwrap();
    assert!(answer.ends_with("127.0.0.1:49152 127.0.0.1:80 127.0.0.1:49152"), "{answer}");
}

#[tokio::test]
async fn anybody_else_is_not_believed() {
    let server = server("10.0.0.0/8");
    let mut stranger = server.connect().await.unwrap();
    stranger.send(format!("{HEADER}{REQUEST}")).await.unwrap();
    let answer = stranger.read_to_end().await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_without_a_header_is_cut() {
    let server = server("127.0.0.1");
    let mut proxy = server.connect().await.unwrap();
    proxy.send(REQUEST).await.unwrap();
    assert_eq!(proxy.read_to_end().await.unwrap(), "");

    let started = Instant::now();
    let mut proxy = server.connect().await.unwrap();
    proxy.send(&HEADER[..20]).await.unwrap();
    assert_eq!(proxy.read_to_end().await.unwrap(), "");
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(5) && took < Duration::from_secs(6), "{took:?}");
}
