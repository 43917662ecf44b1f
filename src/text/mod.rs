//! Grammar that several rooms need: one reader of each, and nothing that knows of connections, requests or layers.

pub(crate) mod authority;
pub(crate) mod date;
mod decimal;
pub(crate) mod host;
pub(crate) mod host_name;
mod inet_aton;
pub(crate) mod ip;
pub(crate) mod lines;
pub(crate) mod list;
mod network;
pub(crate) mod octets;
pub(crate) mod percent;
#[cfg(any(test, fuzzing))]
pub(crate) mod reader_tests;

pub(crate) use decimal::{content_length, decimal};
pub(crate) use inet_aton::inet_aton;
pub use network::IpNetwork;
