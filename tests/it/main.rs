//! Tests over real sockets, through the public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod listener;
#[cfg(feature = "test-util")]
mod proxy_protocol;
#[cfg(all(feature = "test-util", feature = "tls"))]
mod tls;
