//! TLS as a connection layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower::{Layer, Service};

use super::TlsOptions;
use super::handshake::handshake;
use super::setup::TlsSetup;
use crate::connection::{Connection, ConnectionService};
use crate::error::Error;
use crate::protocols::Protocols;

/// Speaks TLS with the client; what comes after sees what is inside.
///
/// [`Endpoint::tls`](crate::Endpoint::tls) puts it among the layers of an endpoint. The handshake
/// is done in the connection's own task, so a slow one delays nobody. One that fails is logged at
/// debug.
///
/// # Example
///
/// ```
/// use kestrel_rs::Protocols;
/// use kestrel_rs::connection::BoxConnectionService;
/// use kestrel_rs::tls::{TlsLayer, TlsOptions};
/// use tower::Layer;
///
/// fn with_tls(
///     service: BoxConnectionService,
///     options: TlsOptions,
/// ) -> Result<BoxConnectionService, kestrel_rs::Error> {
///     let layer = TlsLayer::new(options, Protocols::default())?;
///     Ok(BoxConnectionService::new(layer.layer(service)))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TlsLayer {
    setup: Arc<TlsSetup>,
}

impl TlsLayer {
    /// With these options; `protocols` are offered by ALPN where the options do not say others.
    pub fn new(options: TlsOptions, protocols: Protocols) -> Result<Self, Error> {
        Ok(Self { setup: Arc::new(TlsSetup::new(options, protocols)?) })
    }
}

impl<S: ConnectionService> Layer<S> for TlsLayer {
    type Service = Tls<S>;

    fn layer(&self, inner: S) -> Tls<S> {
        Tls { inner, setup: Arc::clone(&self.setup) }
    }
}

/// The service of [`TlsLayer`].
///
/// # Example
///
/// See [`TlsLayer`].
#[derive(Clone, Debug)]
pub struct Tls<S> {
    inner: S,
    setup: Arc<TlsSetup>,
}

impl<S> Service<Connection> for Tls<S>
where
    S: Service<Connection, Response = ()> + Clone,
{
    type Response = ();
    type Error = S::Error;
    type Future = TlsFuture<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> TlsFuture<S> {
        // The service that is ready is used, a fresh clone stays.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let handshake = Box::pin(handshake(Arc::clone(&self.setup), connection));
        TlsFuture { state: TlsState::Handshake { handshake, inner } }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Tls`].
    pub struct TlsFuture<S: Service<Connection>> {
        #[pin]
        state: TlsState<S, S::Future>,
    }
}

pin_project_lite::pin_project! {
    #[project = TlsStateProjection]
    enum TlsState<S, F> {
        // In a box, which is gone when the handshake is: the connection may live for long.
        Handshake { handshake: Pin<Box<dyn Future<Output = Option<Connection>> + Send>>, inner: S },
        Served { #[pin] future: F },
    }
}

impl<S> Future for TlsFuture<S>
where
    S: Service<Connection, Response = ()>,
{
    type Output = Result<(), S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                TlsStateProjection::Handshake { handshake, inner } => {
                    let Some(connection) = ready!(handshake.as_mut().poll(cx)) else {
                        return Poll::Ready(Ok(()));
                    };
                    let future = inner.call(connection);
                    state.set(TlsState::Served { future });
                }
                TlsStateProjection::Served { future } => return future.poll(cx),
            }
        }
    }
}

impl<S: Service<Connection>> fmt::Debug for TlsFuture<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFuture").finish_non_exhaustive()
    }
}
