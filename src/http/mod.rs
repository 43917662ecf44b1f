//! The innermost connection service: turns a connection into requests.

pub(crate) mod http1;
mod http2;
pub(crate) mod rules;
pub(crate) mod upgrade;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower::Service;

use crate::connection::{BoxIo, Connection};
use crate::error::BoxError;
use crate::limits::Limits;
use crate::protocols::Protocols;
use rules::Rules;
use upgrade::UpgradeLimit;

/// What answers requests: your app with the request layers around it.
pub(crate) trait App:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> App for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves HTTP on a connection.
#[derive(Clone)]
pub(crate) struct HttpProtocol<S> {
    app: S,
    rules: Arc<Rules>,
    upgrades: Arc<UpgradeLimit>,
}

impl<S: App> HttpProtocol<S> {
    pub(crate) fn new(app: S, limits: &Limits, protocols: Protocols, upgrades: Arc<UpgradeLimit>) -> Self {
        Self { app, rules: Arc::new(Rules::new(limits, protocols)), upgrades }
    }
}

impl<S: App> Service<Connection<BoxIo>> for HttpProtocol<S> {
    type Response = ();
    type Error = BoxError;
    type Future = ServeHttp<S>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: Connection<BoxIo>) -> ServeHttp<S> {
        let (io, info) = connection.into_parts();
        ServeHttp::Http1(http1::Driver::new(
            io,
            info,
            self.app.clone(),
            self.rules.clone(),
            self.upgrades.clone(),
        ))
    }
}

/// A connection being served. It begins as HTTP/1, whose gate sees the preface of HTTP/2.
pub(crate) enum ServeHttp<S: App> {
    Http1(http1::Driver<S>),
    Http2(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl<S: App> Future for ServeHttp<S> {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut *self {
                Self::Http1(driver) => match std::task::ready!(Pin::new(&mut *driver).poll(cx)) {
                    http1::Outcome::Closed => return Poll::Ready(Ok(())),
                    http1::Outcome::Http2(io, read) => {
                        let connection = http2::serve(io, read, driver.info(), driver.app(), driver.rules());
                        *self = Self::Http2(Box::pin(connection));
                    }
                },
                Self::Http2(connection) => return connection.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
