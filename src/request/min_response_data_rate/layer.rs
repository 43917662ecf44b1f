use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body::Body as _;
use tower::Layer;

use super::body::TimedBody;
use crate::limits::MinDataRate;
use crate::request::shared::around::{Around, Step};
use crate::request::{Mark, RequestContext};

/// Asks for a rate at which answers are taken; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MinResponseDataRateLayer {
    rate: Option<MinDataRate>,
}

impl MinResponseDataRateLayer {
    /// Answers must be taken at this rate; with `None` a client may hold an answer, and the memory
    /// that it takes, for ever.
    pub fn new(rate: impl Into<Option<MinDataRate>>) -> Self {
        Self { rate: rate.into() }
    }
}

/// 240 bytes a second after 5 seconds.
impl Default for MinResponseDataRateLayer {
    fn default() -> Self {
        Self::new(MinDataRate::default())
    }
}

impl<S> Layer<S> for MinResponseDataRateLayer {
    type Service = MinResponseDataRate<S>;

    fn layer(&self, inner: S) -> MinResponseDataRate<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`MinResponseDataRateLayer`].
pub type MinResponseDataRate<S> = Around<S, MinResponseDataRateLayer>;

impl Step for MinResponseDataRateLayer {
    /// Whether it is for this layer to enforce the rate.
    type Kept = bool;

    #[inline]
    fn enter(&self, _: &mut Request<Body>, context: &RequestContext) -> bool {
        context.limits().set_response_rate(self.rate);
        context.limits().enter(Mark::ResponseRateLayer)
    }

    #[inline]
    fn leave(enforces: bool, context: &RequestContext, response: &mut Response) {
        if enforces && !response.body().is_end_stream() && context.limits().response_rate().is_some() {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = Body::new(TimedBody::new(body, context.clone()));
        }
    }
}
