use axum::body::Body;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode, Version};
use http_body::Body as _;
use tower::Layer;

use super::body::LimitedBody;
use crate::request::shared::around::{Around, Step};
use crate::request::{Mark, RequestContext};

/// Limits the size of request bodies; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MaxRequestBodySizeLayer {
    limit: Option<u64>,
}

impl MaxRequestBodySizeLayer {
    /// Bodies of at most so many bytes; 0 takes empty ones only; `None` takes any, which hurts a
    /// handler that gathers them in memory.
    pub fn new(bytes: impl Into<Option<u64>>) -> Self {
        Self { limit: bytes.into() }
    }
}

impl<S> Layer<S> for MaxRequestBodySizeLayer {
    type Service = MaxRequestBodySize<S>;

    fn layer(&self, inner: S) -> MaxRequestBodySize<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`MaxRequestBodySizeLayer`].
pub type MaxRequestBodySize<S> = Around<S, MaxRequestBodySizeLayer>;

impl Step for MaxRequestBodySizeLayer {
    /// The version of a request with a body that this layer limits.
    type Kept = Option<Version>;

    #[inline]
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> Option<Version> {
        let limits = context.limits();
        // The layer of a route is too late for a body that a middleware has begun to read.
        if !limits.has(Mark::Read) {
            limits.set_max_size(self.limit);
        }
        if !limits.enter(Mark::SizeLayer) || request.body().is_end_stream() {
            return None;
        }
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(LimitedBody::new(body, context.clone()));
        Some(request.version())
    }

    #[inline]
    fn leave(kept: Option<Version>, context: &RequestContext, response: &mut Response) {
        if let Some(version) = kept
            && context.limits().failure() == Some(StatusCode::PAYLOAD_TOO_LARGE)
            && version <= Version::HTTP_11
        {
            // Whatever the handler made of it, the rest of the body is not read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}
