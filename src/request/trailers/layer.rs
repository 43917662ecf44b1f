use axum::body::Body;
use axum::response::Response;
use http::Request;
use http_body::Body as _;
use tower::Layer;

use super::BodyWithTrailers;
use super::response::begin;
use crate::request::RequestContext;
use crate::request::shared::around::{Around, Step};

/// Lets handlers send and read trailers; see the [module](super).
///
/// # Example
///
/// See the [module](super).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct TrailersLayer {}

impl TrailersLayer {
    /// Makes the layer; it has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for TrailersLayer {
    type Service = Trailers<S>;

    fn layer(&self, inner: S) -> Trailers<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`TrailersLayer`].
pub type Trailers<S> = Around<S, TrailersLayer>;

impl Step for TrailersLayer {
    /// Whether this is the outermost layer of its kind, which does the work.
    type Kept = bool;

    #[inline]
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> bool {
        let is_outermost = context.trailers().enter();
        if request.body().is_end_stream() {
            context.trailers().set_received(None);
        } else if is_outermost && !context.is_served() {
            // The bodies of our server are watched from the start.
            let body = std::mem::take(request.body_mut());
            *request.body_mut() = Body::new(BodyWithTrailers::new(body, context.clone()));
        }
        is_outermost
    }

    #[inline]
    fn leave(is_outermost: bool, context: &RequestContext, response: &mut Response) {
        if let Some(shared) = context.trailers().to_send.get().filter(|_| is_outermost) {
            begin(shared, response);
        }
    }
}
