//! An async function as a connection layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::{Layer, Service, ServiceExt};

use super::{BoxConnectionService, Connection, ConnectionService};
use crate::error::BoxError;

/// Makes a connection layer of an async function.
///
/// The function gets the connection and what comes [next](Next). It may look at the connection,
/// replace its stream, or end it by not calling `next` at all. An error ends the connection and is
/// logged at debug.
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::{self, Connection, Next};
/// use kestrel_rs::Endpoint;
///
/// // Nobody from outside, before a single byte is read.
/// let local_only = connection::from_fn(async |connection: Connection, next: Next| {
///     match connection.info().remote_addr() {
///         Some(address) if !address.ip().is_loopback() => Ok(()),
///         _ => next.run(connection).await,
///     }
/// });
/// let endpoint = Endpoint::any_ip(8080).layer(local_only);
/// ```
pub fn from_fn<F, Fut>(f: F) -> FromFnLayer<F>
where
    F: Fn(Connection, Next) -> Fut + Clone,
    Fut: Future<Output = Result<(), BoxError>>,
{
    FromFnLayer { f }
}

/// The layer that [`from_fn`] makes.
///
/// # Example
///
/// See [`from_fn`].
#[derive(Clone, Copy)]
pub struct FromFnLayer<F> {
    f: F,
}

impl<F: Clone, S: ConnectionService + Into<BoxConnectionService>> Layer<S> for FromFnLayer<F> {
    type Service = FromFn<F>;

    fn layer(&self, inner: S) -> FromFn<F> {
        FromFn { inner: inner.into(), f: self.f.clone() }
    }
}

impl<F> fmt::Debug for FromFnLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFnLayer").finish_non_exhaustive()
    }
}

/// The service that [`from_fn`] makes.
///
/// # Example
///
/// See [`from_fn`].
#[derive(Clone)]
pub struct FromFn<F> {
    inner: BoxConnectionService,
    f: F,
}

impl<F, Fut> Service<Connection> for FromFn<F>
where
    F: Fn(Connection, Next) -> Fut,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> Self::Future {
        // The service that is ready goes into `Next`, a fresh clone stays.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        Box::pin((self.f)(connection, Next { inner }))
    }
}

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFn").finish_non_exhaustive()
    }
}

/// What serves the connection after this layer.
///
/// # Example
///
/// See [`from_fn`].
pub struct Next {
    inner: BoxConnectionService,
}

impl Next {
    /// Serves the connection; returns when it has ended.
    pub async fn run(self, connection: Connection) -> Result<(), BoxError> {
        self.inner.oneshot(connection).await
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").finish_non_exhaustive()
    }
}
