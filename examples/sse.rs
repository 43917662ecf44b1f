//! Server-sent events that end when the server stops: `cargo run --example sse`, then
//! `curl -N http://localhost:5000`.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream, StreamExt};
use kestrel_rs::ConnectionInfo;

async fn ticks(connection: ConnectionInfo) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(0_u64, async |tick| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(Event::default().data(tick.to_string())), tick + 1))
    });
    // Without it the stream is work in hand, and is cut only when the time for the shutdown is over.
    let stops = async move { connection.close_requested().await };
    Sse::new(ticks.take_until(Box::pin(stops))).keep_alive(KeepAlive::default())
}

pub(crate) fn app() -> Router {
    Router::new().route("/", get(ticks))
}

#[tokio::main]
async fn main() -> Result<(), kestrel_rs::Error> {
    kestrel_rs::serve(app()).await
}
