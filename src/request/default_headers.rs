//! The headers that every answer has: `Server`. hyper adds `Date`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{Entry, SERVER};
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};

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
///     .layer(DefaultHeadersLayer::default());
/// ```
#[derive(Clone, Debug)]
pub struct DefaultHeadersLayer {
    server: HeaderValue,
}

impl Default for DefaultHeadersLayer {
    fn default() -> Self {
        Self { server: HeaderValue::from_static("kestrel-rs") }
    }
}

impl<S> Layer<S> for DefaultHeadersLayer {
    type Service = DefaultHeaders<S>;

    fn layer(&self, inner: S) -> DefaultHeaders<S> {
        DefaultHeaders { inner, server: self.server.clone() }
    }
}

/// The service of [`DefaultHeadersLayer`].
///
/// # Example
///
/// See [`DefaultHeadersLayer`].
#[derive(Clone, Debug)]
pub struct DefaultHeaders<S> {
    inner: S,
    server: HeaderValue,
}

impl<S, B, ResBody> Service<Request<B>> for DefaultHeaders<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture { inner: self.inner.call(request), server: self.server.clone() }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`DefaultHeaders`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        server: HeaderValue,
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Entry::Vacant(entry) = response.headers_mut().entry(SERVER) {
            entry.insert(this.server.clone());
        }
        Poll::Ready(Ok(response))
    }
}
