use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::CONNECTION;
use http::{HeaderValue, Response, StatusCode, Version};

use crate::request::request_limits::RequestLimits;

pin_project_lite::pin_project! {
    /// The future of [`MaxRequestBodySize`](super::MaxRequestBodySize).
    pub struct ResponseFuture<F> {
        #[pin]
        pub(super) inner: F,
        // Of a request with a body that this layer limits.
        pub(super) failed: Option<(RequestLimits, Version)>,
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
        if let Some((limits, version)) = this.failed {
            // Whatever the handler made of it, the rest of the body is not read.
            let too_large = limits.state().failure() == Some(StatusCode::PAYLOAD_TOO_LARGE);
            if too_large && *version <= Version::HTTP_11 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
