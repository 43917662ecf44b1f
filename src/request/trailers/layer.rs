use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service};

use super::Watched;
use crate::error::BoxError;
use crate::request::RequestContext;

/// Lets handlers send and read trailers; see the [module](super).
///
/// # Example
///
/// See the [module](super).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TrailersLayer {}

impl<S> Layer<S> for TrailersLayer {
    type Service = Trailers<S>;

    fn layer(&self, inner: S) -> Trailers<S> {
        Trailers { inner }
    }
}

/// The service of [`TrailersLayer`].
///
/// # Example
///
/// See the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct Trailers<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Trailers<S>
where
    S: Service<Request<Body>, Response = Response<ResBody>>,
    ReqBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    ResBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let context = RequestContext::of(request.extensions_mut());
        let is_outermost = context.trailers().enter();
        let no_body = request.body().is_end_stream();
        if no_body {
            context.trailers().set_received(None);
        }
        // The bodies of our server are watched from the start.
        let request = if no_body || !is_outermost || context.is_served() {
            request.map(Body::new)
        } else {
            request.map(|body| Body::new(Watched::new(body, context.clone())))
        };
        ResponseFuture { inner: self.inner.call(request), context: is_outermost.then_some(context) }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Trailers`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // `None` inside another layer of this kind, which does the work.
        context: Option<RequestContext>,
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?.map(Body::new);
        Poll::Ready(Ok(match this.context.as_ref().and_then(|context| context.trailers().to_send.get()) {
            Some(shared) => shared.begin(response),
            None => response,
        }))
    }
}

impl<F: std::fmt::Debug> std::fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").field("inner", &self.inner).finish_non_exhaustive()
    }
}
