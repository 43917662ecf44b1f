use std::task::{Context, Poll};

use axum::body::Body;
use http::{Request, Response};
use http_body::Body as _;
use tower::Service;

use super::ResponseFuture;
use super::body::LimitedBody;
use crate::request::request_limits::{Mark, RequestLimits};

/// The service of [`MaxRequestBodySizeLayer`](super::MaxRequestBodySizeLayer).
#[derive(Clone, Copy, Debug)]
pub struct MaxRequestBodySize<S> {
    pub(super) inner: S,
    pub(super) limit: Option<u64>,
}

impl<S, B> Service<Request<Body>> for MaxRequestBodySize<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let outermost = RequestLimits::enter(&mut request, Mark::SizeLayer, |state| {
            // The layer of a route is too late for a body that a middleware has begun to read.
            if !state.has(Mark::Read) {
                state.set_max_size(self.limit);
            }
        });
        if !outermost || request.body().is_end_stream() {
            return ResponseFuture { inner: self.inner.call(request), failed: None };
        }
        let limits = RequestLimits::of(&mut request);
        let failed = Some((limits.clone(), request.version()));
        let request = request.map(|body| Body::new(LimitedBody::new(body, limits)));
        ResponseFuture { inner: self.inner.call(request), failed }
    }
}
