//! One accepted connection, and the layers around it.
//!
//! A connection is a request to a [`Service`](tower::Service): `Service<Connection, Response = ()>` serves it, and
//! an ordinary [`tower::Layer`] wraps that service. The innermost service speaks HTTP; an endpoint
//! puts your layers around it, the first added outermost, as `ServiceBuilder` and Kestrel's `Use`
//! do (and unlike [`axum::Router::layer`]).
//!
//! ```text
//! accept -> connection limit -> your layers, first added outermost -> HTTP
//! ```
//!
//! An async function is a layer too, by [`from_fn`]:
//!
//! ```
//! use kestrel_rs::connection::{self, Connection, Next};
//! use kestrel_rs::Endpoint;
//!
//! # fn main() -> Result<(), kestrel_rs::Error> {
//! let endpoint = Endpoint::parse("http://127.0.0.1:0")?.layer(connection::from_fn(
//!     async |connection: Connection, next: Next| {
//!         let info = connection.info().clone();
//!         let result = next.run(connection).await;
//!         tracing::debug!(id = %info.id(), "connection ended");
//!         result
//!     },
//! ));
//! # let _ = endpoint; Ok(()) }
//! ```
//!
//! After TLS a layer can ask what was agreed on. This one serves only who has agreed on
//! AES-256:
//!
//! ```
//! use kestrel_rs::connection::{self, Connection, Next};
//! use kestrel_rs::{BoxError, Endpoint};
//!
//! let strong = connection::from_fn(async |connection: Connection, next: Next| {
//!     match connection.info().tls().map(|tls| tls.cipher_suite()) {
//!         Some(suite) if suite.contains("AES_256_GCM") => next.run(connection).await,
//!         suite => Err(BoxError::from(format!("not strong enough: {suite:?}"))),
//!     }
//! });
//! // .tls(options) comes before it
//! let endpoint = Endpoint::any_ip(443).layer(strong);
//! ```

mod from_fn;
mod host_rules;
mod info;
mod layer;
mod limit;
mod logging;
mod proxy_header;
mod proxy_protocol;
mod tls_info;
mod trust;

use std::fmt;

use tower::util::BoxCloneService;

use crate::error::BoxError;
pub use crate::text::IpNetwork;
pub use crate::transport::BoxIo;

pub use from_fn::{FromFn, FromFnLayer, Next, from_fn};
pub(crate) use host_rules::{HostRules, HostVerdict};
pub(crate) use info::Event;
#[cfg(feature = "tls")]
pub(crate) use info::WeakConnection;
pub use info::{ConnectionId, ConnectionInfo};
pub use layer::{ConnectionLayer, ConnectionService};
pub use limit::{ConnectionLimit, ConnectionLimitLayer};
pub use logging::{ConnectionLogging, ConnectionLoggingLayer, LoggedIo};
pub use proxy_header::ProxyHeader;
pub use proxy_protocol::{ProxyProtocol, ProxyProtocolLayer};
#[cfg(feature = "tls")]
pub(crate) use tls_info::TlsFacts;
pub use tls_info::{TlsInfo, TlsVersion};
pub(crate) use trust::Trust;

/// A connection service with its type erased: what an endpoint's layers are stacked from.
pub type BoxConnectionService = BoxCloneService<Connection, (), BoxError>;

/// An accepted connection: its byte stream, and what is known of it.
///
/// # Example
///
/// A layer that looks at the stream replaces it with [`map_io`](Self::map_io):
///
/// ```
/// use kestrel_rs::connection::{BoxIo, Connection};
/// use tokio::io::BufStream;
///
/// fn buffered(connection: Connection) -> Connection {
///     connection.map_io(|io| BoxIo::new(BufStream::new(io)))
/// }
/// ```
pub struct Connection<T = BoxIo> {
    io: T,
    info: ConnectionInfo,
}

impl<T> Connection<T> {
    pub(crate) fn new(io: T, info: ConnectionInfo) -> Self {
        Self { io, info }
    }

    /// What is known of this connection.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The byte stream, to read from or write to before the next layer has it.
    pub fn io_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Replaces the byte stream.
    pub fn map_io<U>(self, f: impl FnOnce(T) -> U) -> Connection<U> {
        Connection { io: f(self.io), info: self.info }
    }

    /// Takes the connection apart.
    pub fn into_parts(self) -> (T, ConnectionInfo) {
        (self.io, self.info)
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("info", &self.info).finish_non_exhaustive()
    }
}
