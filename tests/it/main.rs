//! Tests over real sockets, through the public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[cfg(feature = "tls")]
mod certificates;
mod listener;
