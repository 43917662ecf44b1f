//! The extractor's answer where there is nothing to extract.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// What a handler asks for is not there: the layer that makes it is not around the handler, or the
/// request's version of HTTP does not have it.
///
/// The client gets a 500 that says what is missing. Take an `Option` of the extractor where that is
/// no mistake.
///
/// # Example
///
/// ```
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use kestrel_rs::request::ResponseTrailers;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // Neither `kestrel_rs::serve` nor a `TrailersLayer`.
/// let app = Router::new().route("/", get(async |_: ResponseTrailers| "not reached"));
/// let Ok(response) = app.oneshot(Request::new(Body::empty())).await;
/// assert_eq!(response.status(), 500);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NotAvailable(Why);

#[derive(Clone, Copy, Debug)]
enum Why {
    Layer(&'static str),
    Version(&'static str),
}

impl NotAvailable {
    pub(in crate::request) fn without_layer(name: &'static str) -> Self {
        Self(Why::Layer(name))
    }

    pub(in crate::request) fn in_this_version(reason: &'static str) -> Self {
        Self(Why::Version(reason))
    }
}

impl fmt::Display for NotAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Why::Layer(name) => write!(f, "neither the default layers nor a `{name}` is around this handler"),
            Why::Version(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for NotAvailable {}

impl IntoResponse for NotAvailable {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
