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
use tokio::io::AsyncWrite;
use tower::Service;

use crate::connection::{BoxIo, Connection};
use crate::error::BoxError;
use crate::limits::Limits;
use crate::protocols::Protocols;
use crate::telemetry::events;
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
    rules_over_tls: Arc<Rules>,
    upgrades: Arc<UpgradeLimit>,
}

impl<S: App> HttpProtocol<S> {
    pub(crate) fn new(app: S, limits: &Limits, protocols: Protocols, upgrades: Arc<UpgradeLimit>) -> Self {
        Self {
            app,
            rules: Arc::new(Rules::new(limits, protocols)),
            rules_over_tls: Arc::new(Rules::for_http1_over_tls(limits)),
            upgrades,
        }
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
        let rules = match info.tls() {
            None => &self.rules,
            Some(tls) if tls.alpn() == Some(b"h2") => {
                let read = bytes::BytesMut::new();
                let connection = http2::serve(io, read, info, self.app.clone(), self.rules.clone());
                return ServeHttp::Http2(Box::pin(connection));
            }
            Some(tls) if !tls.protocols().contains(Protocols::HTTP1) => {
                events::no_http2_by_alpn(&info);
                return ServeHttp::Refused(io);
            }
            Some(_) => &self.rules_over_tls,
        };
        ServeHttp::Http1(http1::Driver::new(io, info, self.app.clone(), rules.clone(), self.upgrades.clone()))
    }
}

/// A connection being served. In clear it begins as HTTP/1, whose gate sees the preface of HTTP/2.
pub(crate) enum ServeHttp<S: App> {
    Http1(http1::Driver<S>),
    Http2(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// No version of HTTP was agreed on.
    Refused(BoxIo),
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
                Self::Refused(io) => return Pin::new(io).poll_shutdown(cx).map(|_| Ok(())),
                Self::Http2(connection) => return connection.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
