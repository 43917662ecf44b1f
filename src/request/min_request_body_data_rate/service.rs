use std::task::{Context, Poll};

use axum::body::Body;
use http::Request;
use http_body::Body as _;
use tower::Service;

use super::body::TimedBody;
use crate::limits::MinDataRate;
use crate::request::request_limits::{Mark, RequestLimits};

/// The service of [`MinRequestBodyDataRateLayer`](super::MinRequestBodyDataRateLayer).
#[derive(Clone, Copy, Debug)]
pub struct MinRequestBodyDataRate<S> {
    pub(super) inner: S,
    pub(super) rate: Option<MinDataRate>,
}

impl<S> Service<Request<Body>> for MinRequestBodyDataRate<S>
where
    S: Service<Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let outermost = RequestLimits::enter(&mut request, Mark::RequestRateLayer, |state| {
            state.set_request_rate(self.rate);
        });
        if outermost && !request.body().is_end_stream() {
            let limits = RequestLimits::of(&mut request);
            request = request.map(|body| Body::new(TimedBody::new(body, limits)));
        }
        self.inner.call(request)
    }
}
