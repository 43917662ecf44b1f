//! At most so many connections at a time.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::Semaphore;
use tower::{Layer, Service};

use super::{Connection, ConnectionService};
use crate::telemetry::events;

/// Serves at most so many connections at a time; a further one is closed at once with nothing
/// sent, as Kestrel does. A connection counts until it ends or is upgraded.
///
/// The counter belongs to the socket that the layer is put around, so the two sockets of
/// `localhost` count apart. [`Limits::max_concurrent_connections`](crate::Limits) puts this layer
/// outermost; put before TLS it costs no handshake for those it refuses.
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::ConnectionLimitLayer;
/// use kestrel_rs::Endpoint;
///
/// let endpoint = Endpoint::any_ip(443).layer(ConnectionLimitLayer::new(5_000));
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionLimitLayer {
    limit: Option<usize>,
}

impl ConnectionLimitLayer {
    /// At most `limit` connections at a time; none at all for 0; `None` is unlimited.
    pub fn new(limit: impl Into<Option<usize>>) -> Self {
        Self { limit: limit.into() }
    }
}

impl<S: ConnectionService> Layer<S> for ConnectionLimitLayer {
    type Service = ConnectionLimit<S>;

    fn layer(&self, inner: S) -> ConnectionLimit<S> {
        // As many as there can be.
        let most = Semaphore::MAX_PERMITS;
        let free = self.limit.map_or(most, |limit| limit.min(most));
        ConnectionLimit { inner, free: Arc::new(Semaphore::new(free)) }
    }
}

/// The service of [`ConnectionLimitLayer`]; its clones share the counter.
///
/// # Example
///
/// See [`ConnectionLimitLayer`].
#[derive(Clone, Debug)]
pub struct ConnectionLimit<S> {
    inner: S,
    free: Arc<Semaphore>,
}

impl<S> Service<Connection> for ConnectionLimit<S>
where
    S: Service<Connection, Response = ()>,
{
    type Response = ();
    type Error = S::Error;
    type Future = Admission<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            events::connection_rejected(connection.info());
            return Admission::Refused;
        };
        connection.info().add_slot(Box::new(permit));
        Admission::Served { future: self.inner.call(connection) }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`ConnectionLimit`].
    #[project = AdmissionProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "opaque")]
    pub enum Admission<F> {
        Served { #[pin] future: F },
        Refused,
    }
}

impl<F: Future<Output = Result<(), E>>, E> Future for Admission<F> {
    type Output = Result<(), E>;

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmissionProjection::Served { future } => future.poll(cx),
            AdmissionProjection::Refused => Poll::Ready(Ok(())),
        }
    }
}
