//! The innermost connection service: turns a connection into requests.

mod exchange;
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
use tokio::sync::{mpsc, oneshot};
use tower::Service;

use crate::connection::{BoxIo, Connection};
use crate::error::BoxError;
use crate::limits::Limits;
use crate::protocols::Protocols;
use crate::telemetry::events;
pub use http1::GuardedStream;
use rules::Rules;
use upgrade::UpgradeLimit;

/// What answers requests: your app with the request layers around it.
pub(crate) trait App:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

impl<S> App for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
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
                let (rules, upgrades) = (self.rules.clone(), self.upgrades.clone());
                let server = http2::Server::new(info, self.app.clone(), rules, upgrades);
                let connection = http2::serve(io, read, server);
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

/// Gives the guarded stream of a connection to somebody else, and waits until they drop it.
#[derive(Clone)]
pub(crate) struct HandOver {
    rules: Arc<Rules>,
    rules_over_tls: Arc<Rules>,
    to: mpsc::Sender<GuardedStream>,
}

impl HandOver {
    pub(crate) fn new(limits: &Limits, protocols: Protocols, to: mpsc::Sender<GuardedStream>) -> Self {
        let (mut rules, mut over_tls) = (Rules::new(limits, protocols), Rules::for_http1_over_tls(limits));
        // Nobody is there to do it: heads go to the other server as they came.
        (rules.head.host_override, over_tls.head.host_override) = (false, false);
        Self { rules: Arc::new(rules), rules_over_tls: Arc::new(over_tls), to }
    }
}

impl Service<Connection<BoxIo>> for HandOver {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: Connection<BoxIo>) -> Self::Future {
        let Self { rules, rules_over_tls, to } = self.clone();
        Box::pin(async move {
            let (io, info) = connection.into_parts();
            let http1_over_tls = info.tls().is_some_and(|tls| tls.alpn() != Some(b"h2"));
            let rules = if http1_over_tls { rules_over_tls } else { rules };
            let (dropped, gone) = oneshot::channel();
            // Nobody takes it once the other server has stopped.
            let _ = to.send(GuardedStream::new(io, info, rules, dropped)).await;
            let _ = gone.await;
            Ok(())
        })
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
                        let connection = http2::serve(io, read, driver.http2_server());
                        *self = Self::Http2(Box::pin(connection));
                    }
                },
                Self::Refused(io) => return Pin::new(io).poll_shutdown(cx).map(|_| Ok(())),
                Self::Http2(connection) => return connection.as_mut().poll(cx).map(Ok),
            }
        }
    }
}
