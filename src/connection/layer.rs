//! What a connection layer is, for the compiler and for who reads its words.

use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt};

use super::{BoxConnectionService, Connection};
use crate::error::BoxError;

/// A layer that an endpoint takes: a [`tower::Layer`] around a [`BoxConnectionService`], whose
/// service is a `Service<Connection, Response = ()>` again.
///
/// Implemented for every such layer; there is nothing to implement.
///
/// # Example
///
/// ```
/// use kestrel_rs::Endpoint;
/// use kestrel_rs::connection::{ConnectionLayer, ConnectionLimitLayer};
///
/// fn guarded(endpoint: Endpoint, guard: impl ConnectionLayer) -> Endpoint {
///     endpoint.layer(guard)
/// }
/// let endpoint = guarded(Endpoint::any_ip(80), ConnectionLimitLayer::new(5_000));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no layer for connections",
    label = "an endpoint takes layers around connections",
    note = "a layer around requests goes around the app: `let app = app.layer(..)`, then `serve(app)`",
    note = "a layer around connections is a `tower::Layer<BoxConnectionService>` that is `Send`, `Sync` and `'static`; its service is `Service<Connection, Response = ()>`, `Clone`, `Send` and `'static`, with a `Send` future and an error that becomes a `BoxError`; `kestrel_rs::connection::from_fn` makes one of an async function"
)]
pub trait ConnectionLayer: Send + Sync + 'static {
    /// Puts the layer around a service, and erases the type of the result.
    fn wrap(&self, service: BoxConnectionService) -> BoxConnectionService;
}

#[diagnostic::do_not_recommend]
impl<L> ConnectionLayer for L
where
    L: Layer<BoxConnectionService> + Send + Sync + 'static,
    L::Service: Service<Connection, Response = (), Error: Into<BoxError>, Future: Send + 'static>
        + Clone
        + Send
        + 'static,
{
    fn wrap(&self, service: BoxConnectionService) -> BoxConnectionService {
        BoxCloneService::new(self.layer(service).map_err(Into::into))
    }
}

/// What the layers of this crate go around: a `Service<Connection, Response = ()>`.
///
/// Implemented for every such service; there is nothing to implement.
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::{ConnectionLimit, ConnectionLimitLayer, ConnectionService};
/// use tower::Layer;
///
/// fn limited<S: ConnectionService>(service: S) -> ConnectionLimit<S> {
///     ConnectionLimitLayer::new(5_000).layer(service)
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "this is a layer for connections, and `{Self}` serves none",
    label = "a layer around connections",
    note = "put it on an endpoint: `KestrelListener::builder().endpoint(Endpoint::any_ip(80).layer(..))`; around a `Router` go layers for requests"
)]
pub trait ConnectionService: Service<Connection, Response = ()> {}

#[diagnostic::do_not_recommend]
impl<S: Service<Connection, Response = ()>> ConnectionService for S {}
