//! The future of `serve` is dropped: sockets close at once, work in hand has its time.

use std::pin::pin;

use axum::routing::get;
use kestrel_rs::{Endpoint, Error, KestrelListener};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::custom_transport::{Connector, memory};
use crate::support::{Events, GET, answer, app, closed, really_soon, secs, took};

/// A server in memory that a test can drop; it gets 30 s to shut down.
async fn server() -> (Connector, impl Future<Output = Result<(), Error>> + Send) {
    let (connector, listener) = memory();
    let app = app().route("/never", get(std::future::pending::<()>));
    let listener =
        KestrelListener::builder().endpoint(Endpoint::custom("memory", listener)).bind().await.unwrap();
    (connector, kestrel_rs::serve(app).listener(listener).into_future())
}

/// Whatever `end` drops: what is idle ends, what runs is finished, what never ends is cut.
async fn ends_in_the_background(connector: Connector, end: impl AsyncFnOnce()) {
    let events = Events::record();
    let mut fresh = connector.connect().await.unwrap();
    let mut idle = connector.get("/").await;
    assert_eq!(answer(&mut idle).await.status, 200);
    let mut running = connector.get("/after/10").await;
    let mut never = connector.get("/never").await;
    sleep(secs(1)).await;

    let start = Instant::now();
    end().await;
    for client in [&mut fresh, &mut idle] {
        closed(client).await;
    }
    assert!(connector.connect().await.is_none(), "the listener is dropped");
    took(start, 0);
    let answer = answer(&mut running).await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("after", true));
    took(start, 9);
    closed(&mut never).await;
    took(start, 30);
    let events = events.take();
    for text in ["shutting down", "which were cut"] {
        assert_eq!(events.iter().filter(|(_, event)| event.contains(text)).count(), 1, "{events:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_aborted_task_stops_the_server() {
    let (connector, serve) = server().await;
    let task = tokio::spawn(serve);
    ends_in_the_background(connector, async || {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_select_stops_the_server() {
    let (connector, serve) = server().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(async {
        tokio::select! {
            _ = serve => unreachable!("the server does not end by itself"),
            stopped = stopped => stopped.unwrap(),
        }
    });
    ends_in_the_background(connector, async || {
        stop.send(()).unwrap();
        task.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_join_set_that_is_dropped_stops_the_server() {
    let (connector, serve) = server().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(serve);
    ends_in_the_background(connector, async || drop(tasks)).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_dropped_goes_on_with_the_time_it_had() {
    let (connector, listener) = memory();
    let listener =
        KestrelListener::builder().endpoint(Endpoint::custom("memory", listener)).bind().await.unwrap();
    let server = kestrel_rs::serve(app().route("/never", get(std::future::pending::<()>)))
        .listener(listener)
        .with_graceful_shutdown(sleep(secs(5)));
    let task = tokio::spawn(tokio::time::timeout(secs(15), server.into_future()));
    let mut never = connector.get("/never").await;
    let mut running = connector.get("/after/20").await;
    let start = Instant::now();
    assert!(task.await.unwrap().is_err(), "the timeout has dropped it");
    took(start, 15);
    assert_eq!(answer(&mut running).await.body, "after");
    took(start, 20);
    closed(&mut never).await;
    took(start, 35);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_never_polled_serves_nothing() {
    let (connector, serve) = server().await;
    drop(serve);
    assert!(connector.connect().await.is_none());
}

/// The future is dropped, whatever the tasks that accept have come to: the addresses are free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_are_free_at_once() {
    let path = std::env::temp_dir().join(format!("kestrel-rs-it-{}-dropped.sock", std::process::id()));
    let mut port = 0;
    for _ in 0..30 {
        let builder = KestrelListener::builder()
            .endpoint(Endpoint::ip(([127, 0, 0, 1], port)))
            .endpoint(Endpoint::unix(&path));
        let listener = builder.bind().await.unwrap();
        let address = listener.local_addrs()[0].socket_addr().unwrap();
        port = address.port();
        let mut serve = Box::pin(kestrel_rs::serve(app()).listener(listener).into_future());
        let ask = async {
            let mut client = TcpStream::connect(address).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut client, GET.as_bytes()).await.unwrap();
            assert_eq!(really_soon(answer(&mut client)).await.status, 200);
            UnixStream::connect(&path).await.unwrap();
        };
        tokio::select! { _ = &mut serve => unreachable!("it serves"), () = pin!(ask) => {} }
        drop(serve);
        assert!(std::net::TcpStream::connect(address).is_err());
        assert!(!path.exists());
    }
}

/// Somebody else may hold it, and have plans for it.
#[tokio::test]
async fn an_inherited_socket_is_left_to_its_owner() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = Endpoint::descriptor(socket.try_clone().unwrap());
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    let task = tokio::spawn(kestrel_rs::serve(app()).listener(listener).into_future());
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert!(std::net::TcpStream::connect(address).is_ok());
    drop(socket);
}

#[tokio::test]
async fn the_sockets_of_axum_serve_are_closed_with_it() {
    let listener = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
    let address = listener.local_addrs()[0].socket_addr().unwrap();
    let mut serve = Box::pin(axum::serve(listener.into_axum().unwrap(), app()).into_future());
    let ask = async { TcpStream::connect(address).await.unwrap() };
    tokio::select! { _ = &mut serve => unreachable!("it serves"), _ = pin!(ask) => {} }
    drop(serve);
    assert!(std::net::TcpStream::connect(address).is_err());
}
