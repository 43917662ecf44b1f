//! The answer to a request whose body failed, where the handler has none of its own.
//!
//! A handler that passes the error of a body on, or an extractor that does, makes an answer with
//! 400 or 500. This layer corrects its status to the one that says what happened: 408 for a
//! body that came too slowly, 413 for one that is too large, 431 for its trailers, 400 for bad
//! framing; on HTTP/1 it adds `Connection: close`. Headers (of CORS, the id of a request) and body stay, and so
//! does any other answer: it is the handler's own word. Nothing is answered to a client that has gone.
//!
//! [`serve`](crate::serve) has this layer around the app.
//!
//! # Example
//!
//! ```
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use http_body_util::BodyExt;
//! use kestrel_rs::request::{BadRequestLayer, MaxRequestBodySizeLayer};
//! use tower::ServiceExt;
//!
//! async fn length(body: Body) -> Result<String, StatusCode> {
//!     let body = body.collect().await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
//!     Ok(body.to_bytes().len().to_string())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app: Router = Router::new()
//!     .route("/", post(length))
//!     .layer(MaxRequestBodySizeLayer::new(5))
//!     .layer(BadRequestLayer::new());
//! let request = Request::post("/").body(Body::from("Hello, World!")).unwrap();
//! assert_eq!(app.oneshot(request).await.unwrap().status(), 413);
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! There the exception that leaves the handler says what it was, and throws away what headers there
//! are. Here they stay, and a 500 that the handler made
//! for another reason, after its body failed, cannot be told apart.

use axum::body::Body;
use axum::response::Response;
use http::header::CONNECTION;
use http::{HeaderValue, Request, StatusCode, Version};
use http_body::Body as _;
use tower::Layer;

use super::RequestContext;
use super::shared::around::{Around, Step};

/// Answers for handlers whose body failed; see the [module](self).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct BadRequestLayer;

impl BadRequestLayer {
    /// There is nothing to choose.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for BadRequestLayer {
    type Service = BadRequest<S>;

    fn layer(&self, inner: S) -> BadRequest<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`BadRequestLayer`].
pub type BadRequest<S> = Around<S, BadRequestLayer>;

impl Step for BadRequestLayer {
    /// The version of a request that has a body.
    type Kept = Option<Version>;

    #[inline]
    fn enter(&self, request: &mut Request<Body>, _: &RequestContext) -> Option<Version> {
        (!request.body().is_end_stream()).then(|| request.version())
    }

    #[inline]
    fn leave(kept: Option<Version>, context: &RequestContext, response: &mut Response) {
        let Some(version) = kept else { return };
        let passed_on =
            matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR);
        if let Some(status) = context.limits().failure()
            && passed_on
            && status != response.status()
        {
            *response.status_mut() = status;
            if version <= Version::HTTP_11 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::response::{IntoResponse, Response};
    use axum::routing::post;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::request::MaxRequestBodySizeLayer;

    /// What the client gets of a handler that answers with `status` when its body fails.
    async fn answer(status: u16) -> Response {
        let handler = async move |body: Body| match body.collect().await {
            Ok(_) => "read".into_response(),
            Err(_) => (StatusCode::from_u16(status).unwrap(), [("x-request-id", "7")], "own").into_response(),
        };
        let app = Router::new()
            .route("/", post(handler))
            .layer(MaxRequestBodySizeLayer::new(3))
            .layer(BadRequestLayer::new());
        app.oneshot(Request::post("/").body(Body::from("1234")).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn an_error_passed_on_has_the_status_of_what_happened() {
        for passed_on in [400, 500] {
            let response = answer(passed_on).await;
            assert_eq!(response.status(), 413);
            assert_eq!(response.headers()["connection"], "close");
            assert_eq!(response.headers()["x-request-id"], "7");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "own");
        }
    }

    #[tokio::test]
    async fn an_answer_of_its_own_stays() {
        for own in [200, 413, 418, 503] {
            let response = answer(own).await;
            assert_eq!(response.status(), own);
            assert_eq!(response.headers()["connection"], "close");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "own");
        }
    }
}
