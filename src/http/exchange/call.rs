//! One call of the app.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::response::Response;
use http::Request;
use tower::ServiceExt;

use super::misdirected;
use crate::connection::{ConnectionInfo, HostVerdict};
use crate::http::App;
use crate::http::rules::Rules;

pin_project_lite::pin_project! {
    /// The app at work on a request.
    ///
    /// What `Oneshot` does, without carrying the request and the service along when the service is
    /// ready at once, as a `Router` always is: half a kilobyte less to move for each request.
    #[project = CallProjection]
    pub(in crate::http) enum Call<S: App> {
        Ready { #[pin] future: S::Future },
        Waiting { answer: Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> },
    }
}

impl<S: App> Call<S> {
    /// Calls the app, unless the request came on the wrong connection.
    pub(in crate::http) fn new(
        app: &mut S,
        request: Request<Body>,
        info: &ConnectionInfo,
        rules: &Arc<Rules>,
    ) -> Self {
        match misdirected::judge(info, &request) {
            HostVerdict::Fits => {}
            HostVerdict::Misdirected => {
                let answer = Box::pin(ready(Ok(misdirected::answer(info, rules))));
                return Self::Waiting { answer };
            }
            HostVerdict::Asking(fits) => {
                let (app, info, rules) = (app.clone(), info.clone(), Arc::clone(rules));
                let answer = Box::pin(async move {
                    if fits.await {
                        app.oneshot(request).await
                    } else {
                        Ok(misdirected::answer(&info, &rules))
                    }
                });
                return Self::Waiting { answer };
            }
        }
        match app.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(_) => Self::Ready { future: app.call(request) },
            Poll::Pending => Self::Waiting { answer: Box::pin(app.clone().oneshot(request)) },
        }
    }
}

impl<S: App> Future for Call<S> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallProjection::Ready { future } => future.poll(cx),
            CallProjection::Waiting { answer } => answer.as_mut().poll(cx),
        }
    }
}
