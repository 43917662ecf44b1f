//! Tests of the whole server, through the public API: in memory with time that stands still, over
//! real sockets where the thing is about sockets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[cfg(feature = "test-util")]
mod answers;
mod architecture;
#[cfg(feature = "test-util")]
mod axum_serve;
#[cfg(all(feature = "encrypted-keys", feature = "pfx"))]
mod certificates;
mod compiler;
#[cfg(feature = "test-util")]
mod connections;
#[cfg(feature = "test-util")]
mod custom_transport;
#[cfg(feature = "test-util")]
mod default_layers;
#[cfg(feature = "test-util")]
mod dropped;
#[cfg(feature = "test-util")]
mod early_hints;
mod errors;
#[cfg(feature = "test-util")]
mod examples;
#[cfg(feature = "test-util")]
mod failed_bodies;
mod features;
#[cfg(feature = "test-util")]
mod forwarded;
#[cfg(feature = "test-util")]
mod frames;
#[cfg(feature = "test-util")]
mod grpc;
#[cfg(feature = "test-util")]
mod handlers;
#[cfg(feature = "test-util")]
mod http2;
#[cfg(feature = "test-util")]
mod limits;
mod listener;
#[cfg(feature = "test-util")]
mod middleware;
#[cfg(feature = "test-util")]
mod option_values;
#[cfg(feature = "test-util")]
mod peers;
#[cfg(feature = "test-util")]
mod pipeline;
#[cfg(feature = "test-util")]
mod proxy_protocol;
#[cfg(feature = "test-util")]
mod rejections;
#[cfg(feature = "test-util")]
mod reset;
#[cfg(feature = "test-util")]
mod response_rate;
#[cfg(feature = "test-util")]
mod services;
#[cfg(feature = "test-util")]
mod shutdown;
#[cfg(feature = "test-util")]
mod support;
#[cfg(feature = "test-util")]
mod synchronous_io;
#[cfg(feature = "test-util")]
mod timeouts;
#[cfg(all(feature = "test-util", feature = "tls"))]
mod tls;
#[cfg(feature = "test-util")]
mod trailers;
#[cfg(feature = "test-util")]
mod unread_bodies;
#[cfg(feature = "test-util")]
mod upgrades;
