//! The answer to a request whose body failed, where the handler has none of its own.
//!
//! A handler that passes the error of a body on, or an extractor that does, makes an answer with
//! 400 or 500. This layer puts the bare answer in its place that says what happened: 408 for a
//! body that came too slowly, 413 for one that is too large, 431 for its trailers, 400 for bad
//! framing; no body, and on HTTP/1 `Connection: close`. Any other answer is the handler's own word,
//! and stays. Nothing is answered to a client that has gone.
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
//!     .layer(MaxRequestBodySizeLayer::bytes(5))
//!     .layer(BadRequestLayer::new());
//! let request = Request::post("/").body(Body::from("Hello, World!")).unwrap();
//! assert_eq!(app.oneshot(request).await.unwrap().status(), 413);
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! There the exception that leaves the handler says what it was. Here a 500 that the handler made
//! for another reason, after its body failed, cannot be told apart.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use tower::{Layer, Service};

use super::RequestLimits;

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
        BadRequest { inner }
    }
}

/// The service of [`BadRequestLayer`].
#[derive(Clone, Copy, Debug)]
pub struct BadRequest<S> {
    inner: S,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for BadRequest<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ReqBody: Body,
    ResBody: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let body =
            (!request.body().is_end_stream()).then(|| (RequestLimits::of(&mut request), request.version()));
        ResponseFuture { inner: self.inner.call(request), body }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`BadRequest`].
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // Of a request that has one.
        body: Option<(RequestLimits, Version)>,
    }
}

impl<F, B: Default, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let Some((limits, version)) = this.body else { return Poll::Ready(Ok(response)) };
        let passed_on =
            matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR);
        Poll::Ready(Ok(match limits.state().failure().filter(|_| passed_on) {
            Some(status) if status != response.status() => bare(status, *version),
            _ => response,
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn bare<B: Default>(status: StatusCode, version: Version) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    if version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, Bytes};
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
            Err(_) => (StatusCode::from_u16(status).unwrap(), "own").into_response(),
        };
        let app = Router::new()
            .route("/", post(handler))
            .layer(MaxRequestBodySizeLayer::bytes(3))
            .layer(BadRequestLayer::new());
        app.oneshot(Request::post("/").body(Body::from("1234")).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn an_error_passed_on_becomes_the_bare_answer() {
        for passed_on in [400, 500] {
            let response = answer(passed_on).await;
            assert_eq!(response.status(), 413);
            assert_eq!(response.headers()["connection"], "close");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), Bytes::new());
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
