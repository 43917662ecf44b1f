//! Where a server listens: addresses, endpoints, and the sockets that they become.
//!
//! ```text
//! Endpoint -> Builder -> bind, all or none -> KestrelListener -> serve
//! ```
//!
//! ```
//! use kestrel_rs::{Endpoint, KestrelListener, Limits};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kestrel_rs::Error> {
//! let listener = KestrelListener::builder()
//!     .limits(Limits::default().max_concurrent_connections(10_000))
//!     .endpoint(Endpoint::parse("http://127.0.0.1:0")?)
//!     .endpoint(Endpoint::any_ip(0))
//!     .bind()
//!     .await?;
//! assert_eq!(listener.local_addrs().len(), 2);
//! # Ok(()) }
//! ```

mod address;
mod bind;
mod builder;
mod endpoint;
mod unix_file;

use std::sync::Arc;

use crate::error::Error;
use crate::limits::Limits;
use crate::protocols::Protocols;
#[cfg(feature = "tls")]
use crate::tls::Followed;
use crate::transport::Bound;

pub use crate::transport::{BoundAddr, SocketOptions};
pub use address::{Address, AddressKind};
pub use builder::Builder;
pub(crate) use endpoint::ConnectionLayers;
pub use endpoint::Endpoint;
pub use unix_file::UnixId;

/// The bound sockets of a server, ready to accept.
///
/// Clients can connect as soon as it exists; they are accepted once it is served. Dropping it
/// closes the sockets and removes the files of Unix sockets.
///
/// # Example
///
/// ```
/// use kestrel_rs::KestrelListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kestrel_rs::Error> {
/// let listener = KestrelListener::bind("http://127.0.0.1:0").await?;
/// let taken = listener.addresses()[0].to_string();
///
/// let error = KestrelListener::bind(&taken).await.unwrap_err();
/// assert!(error.is_bind());
/// assert!(error.to_string().contains(&taken));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct KestrelListener {
    addresses: Vec<Address>,
    endpoints: Vec<BoundEndpoint>,
}

/// What [`Serve::listener`](crate::Serve::listener) takes: a [`KestrelListener`], and nothing else.
///
/// It is a trait so that the compiler says what to do with a listener of another kind.
///
/// # Example
///
/// ```
/// use kestrel_rs::listener::{Endpoint, IntoListener, KestrelListener};
///
/// // What tokio has opened is an endpoint.
/// async fn listener(tcp: tokio::net::TcpListener) -> Result<impl IntoListener, Box<dyn std::error::Error>> {
///     let endpoint = Endpoint::descriptor(tcp.into_std()?);
///     Ok(KestrelListener::builder().endpoint(endpoint).bind().await?)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `KestrelListener`",
    label = "not a `KestrelListener`",
    note = "`KestrelListener::bind(\"http://localhost:8080\").await?` makes one, and so does `.bind().await?` on a `Builder`",
    note = "a socket that is open already is an endpoint: `KestrelListener::builder().endpoint(Endpoint::descriptor(listener.into_std()?)).bind().await?`",
    note = "so is any other listener of `axum::serve`: `Endpoint::custom(\"name\", listener)`"
)]
pub trait IntoListener: sealed::Sealed {
    /// The listener.
    fn into_listener(self) -> KestrelListener;
}

impl IntoListener for KestrelListener {
    fn into_listener(self) -> KestrelListener {
        self
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::KestrelListener {}
}

impl KestrelListener {
    /// Listens on one address, such as `http://localhost:5000`; see [`Address`].
    pub async fn bind(address: &str) -> Result<Self, Error> {
        Self::builder().endpoint(Endpoint::parse(address)?).bind().await
    }

    /// Sets up a listener with several endpoints, or with other limits.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where its endpoints listen, in the order in which they were added, with real ports in place
    /// of 0 and real addresses in place of descriptors. `localhost` is one.
    pub fn addresses(&self) -> Vec<Address> {
        self.addresses.clone()
    }

    /// Where its sockets listen, with real ports in place of 0. `localhost` has two.
    pub fn local_addrs(&self) -> Vec<BoundAddr> {
        self.endpoints.iter().map(|endpoint| endpoint.bound.local_addr()).collect()
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn in_memory(endpoint: BoundEndpoint) -> Self {
        Self { addresses: Vec::new(), endpoints: vec![endpoint] }
    }

    pub(crate) fn into_endpoints(self) -> Vec<BoundEndpoint> {
        self.endpoints
    }
}

/// One bound socket with all that its connections need to be served. An endpoint has one, but
/// `localhost` two.
#[derive(Debug)]
pub(crate) struct BoundEndpoint {
    pub(crate) bound: Bound,
    /// The endpoint as the server reports it, with the real port: `http://localhost:5000` for both
    /// sockets of it.
    pub(crate) name: Arc<str>,
    /// Those of the endpoint, else of the listener.
    pub(crate) limits: Arc<Limits>,
    pub(crate) protocols: Protocols,
    pub(crate) layers: ConnectionLayers,
    /// To be followed while connections are accepted.
    #[cfg(feature = "tls")]
    pub(crate) followed: Vec<Followed>,
}
