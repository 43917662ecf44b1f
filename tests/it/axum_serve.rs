//! The listener under `axum::serve`: endpoints, connection layers and limits, with axum's own HTTP.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::Request;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{ConnectionInfo, Limits};

use crate::support::{GET, HOUR, UPGRADE, answer, app, closed, exchange, octets, quiet, reset, secs};

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
async fn an_upgrade_makes_a_tunnel_that_nobody_times_out() {
    let server = TestServer::builder(app()).start_under_axum();
    let mut client = connect(&server).await;
    client.send(format!("{UPGRADE}early")).await.unwrap();
    assert_eq!(answer(&mut client).await.status, 101);
    assert_eq!(octets(&mut client, 5).await, "early");
    quiet(&mut client, HOUR).await;
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

#[tokio::test(start_paused = true)]
async fn a_handler_may_abort_its_connection() {
    async fn aborts(ConnectInfo(connection): ConnectInfo<ConnectionInfo>) {
        connection.abort();
        std::future::pending::<()>().await;
    }
    let server = TestServer::builder(Router::new().route("/", get(aborts))).start_under_axum();
    let mut client = connect(&server).await;
    client.send(GET).await.unwrap();
    reset(&mut client).await;
}
