//! A handler that panics answers with 500.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use tower::{Layer, Service};

use crate::telemetry::events;

/// Turns a panic of the service inside into a bare 500; the connection lives on.
///
/// Part of the default stack. It does what `tower_http::catch_panic` does, without boxing the body
/// of every answer, which costs 0.1 us a request.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use kestrel_rs::request::CatchPanicLayer;
///
/// let app: Router = Router::new()
///     .route("/", get(|| async { if true { panic!("oh") } }))
///     .layer(CatchPanicLayer::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CatchPanicLayer {}

impl CatchPanicLayer {
    /// Makes the layer; it has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// The service of [`CatchPanicLayer`].
///
/// # Example
///
/// See [`CatchPanicLayer`].
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for CatchPanic<S>
where
    S: Service<Request<B>, Response: IntoResponse>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Nothing of the handler is looked at after it panicked.
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        let future = called.map_err(|panic| events::handler_panicked(panic_message(&*panic))).ok();
        CatchPanicFuture { future }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`CatchPanic`].
    #[derive(Debug)]
    pub struct CatchPanicFuture<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F, R, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: IntoResponse,
{
    type Output = Result<Response, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.as_mut().project();
        if let Some(future) = this.future.as_pin_mut() {
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx).map_ok(IntoResponse::into_response))) {
                Ok(polled) => return polled,
                Err(panic) => events::handler_panicked(panic_message(&*panic)),
            }
        }
        self.project().future.set(None);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert(CONTENT_LENGTH, 0.into());
        Poll::Ready(Ok(response))
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt, service_fn};

    use super::*;

    async fn status(
        service: impl Service<Request<Body>, Response = Response, Error = Infallible>,
    ) -> StatusCode {
        CatchPanicLayer::new().layer(service).oneshot(Request::new(Body::empty())).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_panic_before_and_while_waiting_is_a_500() {
        let waiting = service_fn(|_| async {
            tokio::task::yield_now().await;
            panic!("while waiting")
        });
        assert_eq!(status(waiting).await, 500);
        let at_once =
            service_fn(|_| -> std::future::Ready<Result<Response, Infallible>> { panic!("at once") });
        assert_eq!(status(at_once).await, 500);
    }

    #[tokio::test]
    async fn an_answer_is_left_alone() {
        assert_eq!(status(service_fn(|_| async { Ok(Response::new(Body::empty())) })).await, 200);
    }
}
