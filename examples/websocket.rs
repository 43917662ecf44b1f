//! A WebSocket that says goodbye: `cargo run --example websocket`, then a client at <ws://localhost:5000>.

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use axum::routing::any;
use kestrel_rs::ConnectionInfo;

async fn echo(upgrade: WebSocketUpgrade, connection: ConnectionInfo) -> Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        loop {
            let message = tokio::select! {
                message = socket.recv() => message,
                () = connection.close_requested() => break, // the server stops
            };
            match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {} // axum answers a ping and a close, as long as somebody reads on
                Some(Err(_)) | None => return,
            }
        }
        let goodbye = CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
        if socket.send(Message::Close(Some(goodbye))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {} // up to the client's own goodbye
        }
    })
}

pub(crate) fn app() -> Router {
    Router::new().route("/", any(echo)) // `any`: over HTTP/2 a WebSocket begins with CONNECT
}

#[tokio::main]
async fn main() -> Result<(), kestrel_rs::Error> {
    kestrel_rs::serve(app()).await
}
