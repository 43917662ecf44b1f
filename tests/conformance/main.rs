//! Replays what the real Kestrel was recorded to do. Every difference stands in a table with its
//! reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod addresses;
#[cfg(feature = "tls")]
mod sni;
#[cfg(feature = "tls")]
mod tls;
