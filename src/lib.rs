//! A tower toolkit that lets an axum `Router` stand on the open internet with no proxy in front.

mod error;
mod protocols;

pub mod limits;

mod telemetry;

mod transport;

pub mod connection;

#[cfg(feature = "tls")]
pub mod tls;

pub mod request;

mod http;

pub mod listener;

mod server;

#[cfg(feature = "test-util")]
pub mod test;

pub use connection::ConnectionInfo;
pub use error::{BoxError, Error};
pub use limits::{Http2Limits, Limits, MinDataRate};
pub use listener::{Endpoint, KestrelListener};
pub use protocols::Protocols;
pub use request::{RequestAborted, RequestId};
pub use server::{HttpService, Serve, serve};
#[cfg(feature = "tls")]
pub use tls::Certificate;
