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
use bytes::BytesMut;
use http::Request;
use tokio::io::AsyncWriteExt as _;
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
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: Connection<BoxIo>) -> Self::Future {
        let (mut io, info) = connection.into_parts();
        let Self { mut app, rules, rules_over_tls, upgrades } = self.clone();
        let rules = match info.tls() {
            None => rules,
            Some(tls) if tls.alpn() == Some(b"h2") => {
                let server = http2::Server::new(info, app, rules, upgrades);
                return Box::pin(async move {
                    http2::serve(io, BytesMut::new(), server).await;
                    Ok(())
                });
            }
            Some(tls) if !tls.protocols().contains(Protocols::HTTP1) => {
                events::no_http2_by_alpn(&info);
                return Box::pin(async move { Ok(io.shutdown().await?) });
            }
            Some(_) => rules_over_tls,
        };
        // In clear a connection begins as HTTP/1, which sees the preface of HTTP/2.
        Box::pin(async move {
            if let Some((io, read)) = http1::serve(io, &info, &mut app, &rules, &upgrades).await {
                let server = http2::Server::new(info, app, rules, upgrades);
                Box::pin(http2::serve(io, read, server)).await;
            }
            Ok(())
        })
    }
}
