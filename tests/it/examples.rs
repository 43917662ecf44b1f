//! The examples of streams that stay open, as their clients see them.

use futures_util::{SinkExt, StreamExt};
use kestrel_rs::test::{TestConnection, TestServer};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{GET, closed, secs, soon, took, until};

#[path = "../../examples/sse.rs"]
#[expect(dead_code, reason = "a program, of which its app is served")]
mod sse;
#[path = "../../examples/websocket.rs"]
#[expect(dead_code, reason = "a program, of which its app is served")]
mod websocket;

async fn open(server: &TestServer) -> WebSocketStream<TestConnection> {
    let stream = server.connect().await.unwrap();
    soon(tokio_tungstenite::client_async("ws://localhost/", stream)).await.unwrap().0
}

/// The word that the server has for the end; after it the stream ends in peace.
async fn last_word(client: &mut WebSocketStream<TestConnection>) -> Option<CloseFrame> {
    let Some(Ok(Message::Close(frame))) = soon(client.next()).await else { panic!("1006: no word at all") };
    assert!(soon(client.next()).await.is_none());
    frame
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_its_client_closes_ends_with_its_client_s_word() {
    let server = TestServer::new(websocket::app());
    for code in [CloseCode::Normal, CloseCode::Away, CloseCode::Library(4000)] {
        let mut client = open(&server).await;
        client.send(Message::text("hello")).await.unwrap();
        client.send(Message::Ping("p".into())).await.unwrap();
        assert_eq!(soon(client.next()).await.unwrap().unwrap(), Message::text("hello"));
        assert_eq!(soon(client.next()).await.unwrap().unwrap(), Message::Pong("p".into()));
        client.close(Some(CloseFrame { code, reason: "enough".into() })).await.unwrap();
        assert_eq!(last_word(&mut client).await.unwrap().code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_told_that_the_server_goes_away() {
    let mut server = TestServer::new(websocket::app());
    let mut client = open(&server).await;
    sleep(secs(3600)).await;
    let start = Instant::now();
    server.stop();
    assert_eq!(last_word(&mut client).await.unwrap().code, CloseCode::Away);
    soon(server.stopped()).await;
    took(start, 0);
}

#[tokio::test(start_paused = true)]
async fn server_sent_events_end_with_the_server() {
    let mut server = TestServer::new(sse::app());
    let mut client = server.connect().await.unwrap();
    client.send(GET).await.unwrap();
    let events = until(&mut client, "data: 2\n\n\r\n").await;
    assert!(events.contains("data: 0\n\n") && events.contains("data: 1\n\n"), "{events}");
    let start = Instant::now();
    server.stop();
    assert_eq!(until(&mut client, "0\r\n\r\n").await, "0\r\n\r\n", "a whole answer");
    closed(&mut client).await;
    drop(client);
    soon(server.stopped()).await;
    took(start, 0);
}
