use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use http::Response;
use http_body::Body as _;

use super::body::TimedBody;
use crate::request::RequestLimits;

pin_project_lite::pin_project! {
    /// The future of [`MinResponseDataRate`](super::MinResponseDataRate).
    pub struct ResponseFuture<F> {
        #[pin]
        pub(super) inner: F,
        // If it is for this layer to enforce the rate.
        pub(super) limits: Option<RequestLimits>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let limits = this.limits.take().filter(|limits| limits.min_response_data_rate().is_some());
        Poll::Ready(Ok(match limits {
            Some(limits) if !response.body().is_end_stream() => {
                response.map(|body| Body::new(TimedBody::new(body, limits)))
            }
            _ => response,
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
