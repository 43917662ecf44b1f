//! Tests over real sockets, through the public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod listener;
#[cfg(feature = "test-util")]
mod reset;
#[cfg(feature = "test-util")]
mod support;
#[cfg(feature = "test-util")]
mod synchronous_io;
#[cfg(feature = "test-util")]
mod trailers;
