//! HTTP/2: `h2` driven directly, with its streams run by turns.
//!
//! One task a connection: [`Http2Connection`] polls h2, which reads frames and hands over requests; judges them
//! ([`exchange::decoded`](super::exchange::decoded)), runs them ([`turns`]), writes what has been gathered ([`wire`]),
//! and keeps the time. What the [`follower`] sees in the frames is for time and for faults.

mod connection;
mod exchange;
mod follower;
mod pings;
mod request;
mod streams;
mod tunnel;
mod turns;
mod wire;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::Extensions;
use tokio::time::timeout;

use self::connection::Http2Connection;
use self::follower::MOST_EARLY_RESETS;
use self::wire::Wire;
use super::App;
use super::exchange::extensions;
use super::rules::Rules;
use super::upgrade::UpgradeLimit;
use crate::connection::{BoxIo, ConnectionInfo};
use crate::telemetry::events;
use crate::transport::Rewind;

/// How long a client may take to let go of a connection that the server has said goodbye on
/// (GOAWAY) and on which nothing is in work.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a connection is served with.
pub(crate) struct Server<S> {
    info: ConnectionInfo,
    app: S,
    rules: Arc<Rules>,
    upgrades: Arc<UpgradeLimit>,
    /// What every request of the connection has in its extensions.
    extensions: Extensions,
}

impl<S> Server<S> {
    pub(crate) fn new(info: ConnectionInfo, app: S, rules: Arc<Rules>, upgrades: Arc<UpgradeLimit>) -> Self {
        let extensions = extensions(&info);
        Self { info, app, rules, upgrades, extensions }
    }
}

/// Serves a connection that is to begin with the preface; `read` is what has been read of it.
pub(crate) async fn serve<S: App>(io: BoxIo, read: BytesMut, server: Server<S>) {
    let wire = Wire::new(Rewind::new(io, read), server.rules.max_gathered);
    match handshake(&wire, &server.info, &server.rules).await {
        Ok(h2) => {
            let mut connection = Http2Connection::new(h2, wire, server);
            std::future::poll_fn(|cx| connection.poll(cx)).await;
        }
        Err(Some(reason)) => {
            wire.lock().say_instead(&goaway(reason)); // not behind SETTINGS to who speaks something else
            let last_words = std::future::poll_fn(|cx| wire.lock().poll_linger(cx));
            // Whether the client takes them or not.
            let _ = timeout(GOODBYE, last_words).await;
        }
        Err(None) => {}
    }
}

/// Waits for the preface and sends our SETTINGS; with `Err`, what the client is told.
///
/// Without the app, which need not be shared between threads.
async fn handshake(
    wire: &Wire,
    info: &ConnectionInfo,
    rules: &Rules,
) -> Result<h2::server::Connection<Wire, Bytes>, Option<Reason>> {
    let limits = &rules.http2_limits;
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(limits.max_streams_per_connection.unwrap_or(u32::MAX))
        .initial_connection_window_size(limits.initial_connection_window_size)
        .initial_window_size(limits.initial_stream_window_size)
        .max_header_list_size(u32::try_from(rules.head.max_headers_total).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(MOST_EARLY_RESETS)
        .enable_connect_protocol();
    // What is the protocol's default is not said.
    if limits.header_table_size != 4096 {
        builder.header_table_size(limits.header_table_size);
    }
    if limits.max_frame_size != 16 * 1024 {
        builder.max_frame_size(limits.max_frame_size);
    }
    let mut handshake = std::pin::pin!(builder.handshake(wire.clone()));
    let handshake = std::future::poll_fn(|cx| {
        info.set_driver(cx.waker());
        match handshake.as_mut().poll(cx) {
            Poll::Pending if info.wants_abort() || info.wants_close() => Poll::Ready(None),
            polled => polled.map(Some),
        }
    });
    let done = match rules.keep_alive {
        Some(patience) => timeout(patience, handshake).await,
        None => Ok(handshake.await),
    };
    match done {
        Ok(Some(Ok(h2))) => Ok(h2),
        Ok(Some(Err(error))) => {
            events::connection_failed(info, &error);
            Err(error.reason())
        }
        Ok(None) => Err(None),
        Err(_) => Err(Some(Reason::NO_ERROR)),
    }
}

/// A GOAWAY frame on a connection without streams (RFC 9113 section 6.8).
fn goaway(reason: Reason) -> [u8; 17] {
    let [a, b, c, d] = u32::from(reason).to_be_bytes();
    [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}
