//! HTTP/1.0 and HTTP/1.1.

mod driver;
mod exchange;
mod framing;
mod gate;
pub(crate) mod head;
mod host;
mod octets;
mod output;
mod rejection;
mod shared;
mod target;

pub(crate) use driver::{Driver, Outcome};
