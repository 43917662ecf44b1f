use std::task::{Context, Poll};

use http::Request;
use tower::{Layer, Service};

use super::Rule;
use crate::request::RequestContext;

/// Says whether handlers may read and write bodies with blocking calls; see the
/// [module](super). By default they may not.
///
/// A layer inside another one sets the outer one's value.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use kestrel_rs::request::SynchronousIoLayer;
///
/// // For every route of an app that `kestrel_rs::serve` serves:
/// let app: Router = Router::new().layer(SynchronousIoLayer::allowed());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SynchronousIoLayer {
    rule: Rule,
}

impl SynchronousIoLayer {
    /// Blocking reads and writes are allowed.
    pub fn allowed() -> Self {
        Self { rule: Rule::Allowed }
    }

    /// Blocking reads and writes are refused, as by default.
    pub fn refused() -> Self {
        Self { rule: Rule::Refused }
    }
}

impl Default for SynchronousIoLayer {
    fn default() -> Self {
        Self::refused()
    }
}

impl<S> Layer<S> for SynchronousIoLayer {
    type Service = SetSynchronousIo<S>;

    fn layer(&self, inner: S) -> SetSynchronousIo<S> {
        SetSynchronousIo { inner, rule: self.rule }
    }
}

/// The service of [`SynchronousIoLayer`].
///
/// # Example
///
/// See [`SynchronousIoLayer`].
#[derive(Clone, Copy, Debug)]
pub struct SetSynchronousIo<S> {
    inner: S,
    rule: Rule,
}

impl<S, B> Service<Request<B>> for SetSynchronousIo<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        RequestContext::of(request.extensions_mut()).synchronous_io().set(self.rule);
        self.inner.call(request)
    }
}
