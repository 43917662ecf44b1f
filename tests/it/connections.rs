//! Connections: their limit, their layers, and an accept loop that nothing ends.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use kestrel_rs::Limits;
use kestrel_rs::connection::{self, Connection, ConnectionLimitLayer, Next};
use kestrel_rs::test::TestServer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::{
    ChildServer, DropTime, Events, GET, SocketServer, answer, app, closed, exchange, quiet, really_soon,
    secs, serve_in_child, soon,
};

#[tokio::test(start_paused = true)]
async fn over_the_limit_a_connection_is_closed_with_nothing_sent() {
    let limits = Limits::default().max_concurrent_connections(2);
    let by_limits = TestServer::builder(app()).limits(limits).start();
    let by_layer = TestServer::builder(app()).layer(ConnectionLimitLayer::new(2)).start();
    for server in [by_limits, by_layer] {
        let events = Events::record();
        let mut first = server.connect().await.unwrap();
        let mut second = server.connect().await.unwrap();
        for _ in 0..10 {
            let mut third = server.connect().await.unwrap();
            let _ = third.send(GET).await;
            closed(&mut third).await;
        }
        assert_eq!(exchange(&mut first, GET).await.status, 200);
        assert_eq!(exchange(&mut second, GET).await.status, 200);
        drop(first);
        sleep(secs(1)).await;
        let mut fourth = server.connect().await.unwrap();
        assert_eq!(exchange(&mut fourth, GET).await.status, 200);
        closed(&mut server.connect().await.unwrap()).await;
        events.none_above_debug();
        drop(server);
        sleep(secs(1)).await; // says that it stops
    }
}

#[tokio::test(start_paused = true)]
async fn the_count_returns_to_nothing() {
    let limits = Limits::default().max_concurrent_connections(10);
    let server = TestServer::builder(app()).limits(limits).start();
    for round in 0..50 {
        let mut clients = Vec::new();
        for _ in 0..15 {
            let mut client = server.connect().await.unwrap();
            if round % 2 == 0 {
                let _ = client.send(GET).await;
            }
            clients.push(client);
        }
        drop(clients);
        sleep(secs(1)).await;
    }
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, GET).await.status, 200);
        clients.push(client);
    }
    closed(&mut server.connect().await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_sees_a_connection_before_and_after() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = |name: &'static str| {
        let seen = seen.clone();
        connection::from_fn(move |connection: Connection, next: Next| {
            let seen = seen.clone();
            async move {
                seen.lock().unwrap().push(format!("{name} before"));
                let result = next.run(connection).await;
                seen.lock().unwrap().push(format!("{name} after"));
                result
            }
        })
    };
    let server = TestServer::builder(app()).layer(layer("first")).layer(layer("second")).start();
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
    assert_eq!(*seen.lock().unwrap(), ["first before", "second before"]);
    drop(client);
    sleep(secs(1)).await;
    assert_eq!(*seen.lock().unwrap(), ["first before", "second before", "second after", "first after"]);
}

#[tokio::test(start_paused = true)]
async fn a_function_may_refuse_speak_and_fail_and_the_next_connection_is_served() {
    let number = Arc::new(Mutex::new(0));
    let layer = connection::from_fn(move |mut connection: Connection, next: Next| {
        let mut number = number.lock().unwrap();
        *number += 1;
        let number = *number;
        async move {
            match number {
                1 => Ok(()),
                2 => Ok(connection.io_mut().write_all(b"go away").await?),
                3 => Err("on purpose".into()),
                4 => panic!("on purpose"),
                5 => {
                    connection.info().abort();
                    Ok(())
                }
                _ => next.run(connection).await,
            }
        }
    });
    let server = TestServer::builder(app()).layer(layer).start();
    let mut client = server.connect().await.unwrap();
    closed(&mut client).await;
    let mut client = server.connect().await.unwrap();
    assert_eq!(crate::support::rest(&mut client).await, "go away");
    for _ in 3..=4 {
        closed(&mut server.connect().await.unwrap()).await;
    }
    crate::support::reset(&mut server.connect().await.unwrap()).await;
    let mut client = server.connect().await.unwrap();
    assert_eq!(exchange(&mut client, GET).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_handler_goes_with_its_connection() {
    let (guard, mut dropped) = DropTime::new();
    let guard = Arc::new(Mutex::new(Some(guard)));
    let layer = connection::from_fn(async |connection: Connection, next: Next| {
        let _ = tokio::time::timeout(secs(10), next.run(connection)).await;
        Ok(())
    });
    let never = get(move || async move {
        let _guard = guard.lock().unwrap().take();
        std::future::pending::<()>().await;
    });
    let server = TestServer::builder(Router::new().route("/", never)).layer(layer).start();
    let mut client = server.connect().await.unwrap();
    client.send(GET).await.unwrap();
    assert_eq!(soon(client.read_to_end()).await.unwrap(), "");
    soon(dropped.recv()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_slept_serves_on() {
    let server = TestServer::new(app());
    let mut client = server.connect().await.unwrap();
    let echo = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    for pause in [0, 1, 2, 3, 10, 100] {
        sleep(secs(pause)).await;
        assert_eq!(exchange(&mut client, GET).await.status, 200);
        sleep(secs(pause)).await;
        assert_eq!(exchange(&mut client, echo).await.body, "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_before_or_after_the_sleep_is_not_lost() {
    let server = TestServer::new(app());
    for (before, after) in [(1, 10), (3, 1), (3, 10), (0, 20)] {
        let mut client = server.connect().await.unwrap();
        for half in [1, 10, GET.len() - 1] {
            assert_eq!(exchange(&mut client, GET).await.status, 200);
            sleep(secs(before)).await;
            client.send(&GET[..half]).await.unwrap();
            quiet(&mut client, secs(after)).await;
            assert_eq!(exchange(&mut client, &GET[half..]).await.status, 200);
        }
        client.send("\r\n").await.unwrap();
        sleep(secs(10)).await;
        client.send("\r").await.unwrap();
        sleep(secs(10)).await;
        assert_eq!(exchange(&mut client, format!("\n{GET}")).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_its_connection_sleeps_is_let_go() {
    let limits = Limits::default().max_concurrent_connections(1);
    let server = TestServer::builder(app()).limits(limits).start();
    for _ in 0..3 {
        let mut client = server.connect().await.unwrap();
        assert_eq!(exchange(&mut client, GET).await.status, 200);
        sleep(secs(10)).await;
        drop(client);
        sleep(secs(1)).await;
    }
}

#[tokio::test]
async fn connections_that_end_before_they_are_served_do_no_harm() {
    let server = SocketServer::new(app()).await;
    for _ in 0..50 {
        let client = server.connect().await;
        socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        drop(server.connect().await);
    }
    let mut client = server.connect().await;
    client.write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(really_soon(answer(&mut client)).await.status, 200);
}

#[tokio::test]
async fn a_server_without_descriptors_goes_on_when_it_has_some_again() {
    let server = ChildServer::start("connections::child_that_serves", "ulimit -n 32;");
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(TcpStream::connect(server.address).await.unwrap());
    }
    // Those that were taken are served, whatever waits behind them.
    clients[0].write_all(GET.as_bytes()).await.unwrap();
    assert_eq!(really_soon(answer(&mut clients[0])).await.status, 200);
    let mut last = clients.pop().unwrap();
    last.write_all(GET.as_bytes()).await.unwrap();
    quiet(&mut last, std::time::Duration::from_millis(300)).await;
    drop(clients);
    assert_eq!(really_soon(answer(&mut last)).await.status, 200);
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_that_serves() {
    let _ = tokio::time::timeout(secs(60), serve_in_child(app())).await;
}
