use std::task::{Context, Poll};

use axum::body::Body;
use http::{Request, Response};
use tower::Service;

use super::ResponseFuture;
use crate::limits::MinDataRate;
use crate::request::request_limits::{Mark, RequestLimits};

/// The service of [`MinResponseDataRateLayer`](super::MinResponseDataRateLayer).
#[derive(Clone, Copy, Debug)]
pub struct MinResponseDataRate<S> {
    pub(super) inner: S,
    pub(super) rate: Option<MinDataRate>,
}

impl<S, B> Service<Request<B>> for MinResponseDataRate<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let outermost = RequestLimits::enter(&mut request, Mark::ResponseRateLayer, |state| {
            state.set_response_rate(self.rate);
        });
        let limits = outermost.then(|| RequestLimits::of(&mut request));
        ResponseFuture { inner: self.inner.call(request), limits }
    }
}
