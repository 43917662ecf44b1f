//! One call of the app.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower::ServiceExt;
use tower::util::Oneshot;

use crate::http::App;

pin_project_lite::pin_project! {
    /// The app at work on a request.
    ///
    /// What `Oneshot` does, without carrying the request and the service along when the service is
    /// ready at once, as a `Router` always is: half a kilobyte less to move for each request.
    #[project = CallProjection]
    pub(in crate::http) enum Call<S: App> {
        Ready { #[pin] future: S::Future },
        Waiting { oneshot: Pin<Box<Oneshot<S, Request<Body>>>> },
    }
}

impl<S: App> Call<S> {
    pub(in crate::http) fn new(app: &mut S, request: Request<Body>) -> Self {
        match app.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(_) => Self::Ready { future: app.call(request) },
            Poll::Pending => Self::Waiting { oneshot: Box::pin(app.clone().oneshot(request)) },
        }
    }
}

impl<S: App> Future for Call<S> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallProjection::Ready { future } => future.poll(cx),
            CallProjection::Waiting { oneshot } => oneshot.as_mut().poll(cx),
        }
    }
}
