//! Makes sockets of endpoints, all or none.

use std::sync::Arc;

use super::bind::bind;
use super::{BoundEndpoint, Endpoint, KestrelListener, SocketOptions};
use crate::error::Error;
use crate::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::{Certificate, TlsOptions};

/// Collects endpoints and what they have in common.
///
/// Setters consume and return the builder, so that they chain.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`endpoint`](Self::endpoint) | `http://localhost:5000`, if none is added; also `https://localhost:5001` with the feature `tls`, if this user has a development certificate |
/// | [`limits`](Self::limits) | [`Limits::default`] |
/// | [`socket_options`](Self::socket_options) | [`SocketOptions::default`] |
///
/// # Example
///
/// ```
/// use kestrel_rs::{Endpoint, KestrelListener};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let builder = KestrelListener::builder()
///     .endpoint(Endpoint::ip(([127, 0, 0, 1], 0)))
///     .endpoint(Endpoint::unix("relative.sock"));
/// let error = builder.bind().await.unwrap_err();
/// assert!(error.to_string().contains("must be absolute"));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    endpoints: Vec<Endpoint>,
    limits: Limits,
    socket_options: SocketOptions,
}

impl Builder {
    /// Adds an endpoint. With none, the server listens on `http://localhost:5000`, and on
    /// `https://localhost:5001` if this user has a development certificate
    /// (`Certificate::find_development`).
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoints.push(endpoint);
        self
    }

    /// The limits of endpoints that have none of their own; default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How the sockets of endpoints without options of their own are set up; default
    /// [`SocketOptions::default`].
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.socket_options = options;
        self
    }

    /// Listens on all endpoints, or on none: whatever fails, everything that was bound before it is
    /// closed again, and the error names the address and what to do.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O enabled.
    #[expect(clippy::unused_async, reason = "needs a runtime, which an async function says best")]
    pub async fn bind(mut self) -> Result<KestrelListener, Error> {
        #[cfg(feature = "tls")]
        self.use_development_certificate();
        if self.endpoints.is_empty() {
            self.endpoints.push(Endpoint::localhost(5000));
        }
        // What can be known before the first socket is opened.
        for endpoint in &self.endpoints {
            self.check(endpoint)?;
        }
        let limits = Arc::new(self.limits);
        let layers = self.endpoints.iter().map(Endpoint::all_layers).collect::<Result<Vec<_>, _>>()?;
        let mut addresses = Vec::with_capacity(self.endpoints.len());
        let mut endpoints = Vec::with_capacity(self.endpoints.len());
        for (endpoint, layers) in self.endpoints.into_iter().zip(layers) {
            let (address, sockets) = bind(&endpoint, &self.socket_options)?;
            let name = Arc::<str>::from(address.to_string());
            #[cfg(feature = "tls")]
            let followed = endpoint.followed();
            let limits = endpoint.limits.map_or_else(|| Arc::clone(&limits), Arc::new);
            endpoints.extend(sockets.into_iter().map(|bound| BoundEndpoint {
                bound,
                name: Arc::clone(&name),
                limits: Arc::clone(&limits),
                protocols: endpoint.protocols,
                layers: layers.clone(),
                #[cfg(feature = "tls")]
                followed: followed.clone(),
            }));
            addresses.push(address);
        }
        Ok(KestrelListener { addresses, endpoints })
    }

    /// For https endpoints without a certificate and, where there is no endpoint at all, for the one
    /// beside `http://localhost:5000`. Nothing happens if this user has none.
    #[cfg(feature = "tls")]
    fn use_development_certificate(&mut self) {
        let without = |endpoint: &Endpoint| endpoint.check_https().is_err();
        if !self.endpoints.is_empty() && !self.endpoints.iter().any(without) {
            return;
        }
        let Some(certificate) = Certificate::find_development() else { return };
        if self.endpoints.is_empty() {
            let secure = Endpoint::localhost(5001).tls(TlsOptions::new(certificate.clone()));
            self.endpoints = vec![Endpoint::localhost(5000), secure];
            return;
        }
        for endpoint in self.endpoints.iter_mut().filter(|endpoint| without(endpoint)) {
            *endpoint = endpoint.clone().tls(TlsOptions::new(certificate.clone()));
        }
    }

    fn check(&self, endpoint: &Endpoint) -> Result<(), Error> {
        endpoint.check()?;
        endpoint.check_https()?;
        let options = endpoint.socket_options.as_ref().unwrap_or(&self.socket_options);
        let limits = endpoint.limits.as_ref().unwrap_or(&self.limits);
        limits.check().and_then(|()| options.check()).map_err(|error| error.at(endpoint.address()))
    }
}
