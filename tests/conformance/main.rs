//! Replays what the real Kestrel was recorded to do. Every difference stands in a table with its
//! reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod addresses;
mod certificate_forwarding;
mod forwarded_headers;
mod host_filtering;
mod hsts;
#[cfg(feature = "test-util")]
mod https_redirection;
mod method_override;
mod recording;
