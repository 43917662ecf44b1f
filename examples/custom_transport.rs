//! A transport of one's own: streams in memory, served with every guard that a socket has.
//!
//! A listener is what `axum::serve` takes too, so that of a VPN, of vsock or of a tunnel needs no more
//! than this one.
//!
//! ```text
//! cargo run --example custom_transport
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::io;

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use kestrel_rs::{BoxError, ConnectionInfo, Endpoint, KestrelListener, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

/// Who is at the other end, as this transport knows it.
#[derive(Clone)]
struct Peer(u32);

/// Takes the streams that somebody sends it.
struct Streams {
    streams: mpsc::Receiver<DuplexStream>,
    accepted: u32,
}

impl Listener for Streams {
    type Io = DuplexStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (DuplexStream, Peer) {
        match self.streams.recv().await {
            Some(stream) => {
                self.accepted += 1;
                (stream, Peer(self.accepted))
            }
            // Nobody will ever connect again; the server ends by its signal.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer(0))
    }
}

async fn whoami(connection: ConnectionInfo) -> String {
    let number = connection.get::<Peer>().map_or(0, |peer| peer.0);
    format!("client {number} on {}", connection.endpoint())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (connect, streams) = mpsc::channel(16);
    let endpoint = Endpoint::custom("memory", Streams { streams, accepted: 0 })
        .limits(Limits::default().max_concurrent_connections(100));
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
    let app = Router::new().route("/", get(whoami));
    let server = tokio::spawn(kestrel_rs::serve(app).listener(listener).into_future());

    for _ in 0..2 {
        let (mut client, stream) = tokio::io::duplex(64 * 1024);
        connect.send(stream).await?;
        client.write_all(b"GET / HTTP/1.1\r\nHost: memory\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await?;
        println!("{answer}\n");
    }

    // Dropping the server ends it; there is nothing in work that would have to be waited for.
    server.abort();
    Ok(())
}
