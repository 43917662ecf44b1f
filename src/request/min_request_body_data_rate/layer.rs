use axum::body::Body;
use http::Request;
use http_body::Body as _;
use tower::Layer;

use super::body::TimedRequestBody;
use crate::limits::MinDataRate;
use crate::request::shared::around::{Around, Step};
use crate::request::{Mark, RequestContext};

/// Asks for a rate of request bodies; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MinRequestBodyDataRateLayer {
    rate: Option<MinDataRate>,
}

impl MinRequestBodyDataRateLayer {
    /// Bodies must come at this rate; with `None` a client may hold its handler for ever.
    pub fn new(rate: impl Into<Option<MinDataRate>>) -> Self {
        Self { rate: rate.into() }
    }
}

/// 240 bytes a second after 5 seconds.
impl Default for MinRequestBodyDataRateLayer {
    fn default() -> Self {
        Self::new(MinDataRate::default())
    }
}

impl<S> Layer<S> for MinRequestBodyDataRateLayer {
    type Service = MinRequestBodyDataRate<S>;

    fn layer(&self, inner: S) -> MinRequestBodyDataRate<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`MinRequestBodyDataRateLayer`].
pub type MinRequestBodyDataRate<S> = Around<S, MinRequestBodyDataRateLayer>;

impl Step for MinRequestBodyDataRateLayer {
    type Kept = ();

    #[inline]
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) {
        context.limits().set_request_rate(self.rate);
        if context.limits().enter(Mark::RequestRateLayer) && !request.body().is_end_stream() {
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(TimedRequestBody::new(body, context.clone()));
        }
    }
}
