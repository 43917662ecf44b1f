//! The headers that every answer has: `Server`. The connection adds `Date`.

use axum::body::Body;
use axum::response::Response;
use http::header::{Entry, SERVER};
use http::{HeaderValue, Request};
use tower::Layer;

use super::shared::around::{Around, Step};
use super::{Mark, RequestContext};

/// Adds a `Server` header to answers that have none.
///
/// Part of the default stack, as Kestrel's `AddServerHeader`, but for endpoints with
/// [`Limits::without_server_header`](crate::Limits::without_server_header).
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use kestrel_rs::request::DefaultHeadersLayer;
///
/// let app: Router = Router::new()
///     .route("/", get(|| async { "Hello, World!" }))
///     .layer(DefaultHeadersLayer::new());
/// ```
#[derive(Clone, Debug)]
pub struct DefaultHeadersLayer {
    server: HeaderValue,
}

impl DefaultHeadersLayer {
    /// Makes the layer; it has no options.
    pub fn new() -> Self {
        Self { server: HeaderValue::from_static("kestrel-rs") }
    }
}

impl Default for DefaultHeadersLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for DefaultHeadersLayer {
    type Service = DefaultHeaders<S>;

    fn layer(&self, inner: S) -> DefaultHeaders<S> {
        Around::new(inner, self.clone())
    }
}

/// The service of [`DefaultHeadersLayer`].
pub type DefaultHeaders<S> = Around<S, DefaultHeadersLayer>;

impl Step for DefaultHeadersLayer {
    type Kept = HeaderValue;

    #[inline]
    fn enter(&self, _: &mut Request<Body>, _: &RequestContext) -> HeaderValue {
        self.server.clone()
    }

    #[inline]
    fn leave(server: HeaderValue, context: &RequestContext, response: &mut Response) {
        if context.limits().has(Mark::WritesServer) {
            context.limits().mark(Mark::Server);
        } else if let Entry::Vacant(entry) = response.headers_mut().entry(SERVER) {
            entry.insert(server);
        }
    }
}
