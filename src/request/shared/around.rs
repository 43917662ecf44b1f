//! What the layers have in common that share a request's context: one service and one future, for
//! one of them or for several, one inside the other.
//!
//! Each as a service of its own would look for the context again, hold it, and move the request and
//! the future once more. In the default stack that was a twentieth of what a small request costs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use tower::{Layer, Service};

use super::RequestContext;
use crate::error::BoxError;

/// What a layer does with a request and with its answer.
pub trait Step {
    /// What it keeps of a request until the answer is there.
    type Kept;

    /// Before the handler.
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> Self::Kept;

    /// While the handler has not answered: an answer in place of the one that is not wanted any more.
    fn interrupt(_: &Self::Kept, _: &RequestContext, _: &Context<'_>) -> Option<Response> {
        None
    }

    /// With the handler's answer.
    fn leave(_: Self::Kept, _: &RequestContext, _: &mut Response) {}
}

/// One around the other.
impl<Outer: Step, Inner: Step> Step for (Outer, Inner) {
    type Kept = (Outer::Kept, Inner::Kept);

    #[inline]
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> Self::Kept {
        let outer = self.0.enter(request, context);
        (outer, self.1.enter(request, context))
    }

    #[inline]
    fn interrupt(kept: &Self::Kept, context: &RequestContext, cx: &Context<'_>) -> Option<Response> {
        Inner::interrupt(&kept.1, context, cx).or_else(|| Outer::interrupt(&kept.0, context, cx))
    }

    #[inline]
    fn leave(kept: Self::Kept, context: &RequestContext, response: &mut Response) {
        Inner::leave(kept.1, context, response);
        Outer::leave(kept.0, context, response);
    }
}

/// Does nothing, or what is in it.
impl<L: Step> Step for Option<L> {
    type Kept = Option<L::Kept>;

    #[inline]
    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> Self::Kept {
        self.as_ref().map(|step| step.enter(request, context))
    }

    #[inline]
    fn interrupt(kept: &Self::Kept, context: &RequestContext, cx: &Context<'_>) -> Option<Response> {
        L::interrupt(kept.as_ref()?, context, cx)
    }

    #[inline]
    fn leave(kept: Self::Kept, context: &RequestContext, response: &mut Response) {
        if let Some(kept) = kept {
            L::leave(kept, context, response);
        }
    }
}

/// Several layers as one, from the outermost inwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<L>(L);

impl<L: Step> Stack<L> {
    pub(crate) fn outermost(step: L) -> Self {
        Self(step)
    }

    pub(crate) fn then<Inner: Step>(self, inner: Inner) -> Stack<(L, Inner)> {
        Stack((self.0, inner))
    }
}

impl<S, L: Clone> Layer<S> for Stack<L> {
    type Service = Around<S, L>;

    fn layer(&self, inner: S) -> Around<S, L> {
        Around::new(inner, self.0.clone())
    }
}

/// The service of a layer of this module: `inner`, with what the layer `L` does before and after it.
/// Each layer has its own name for it.
///
/// It takes requests and answers with any body, and gives the inner service, and its caller, the
/// body of axum.
///
/// # Example
///
/// ```
/// use axum::{body::Body, http::Request, response::Response};
/// use kestrel_rs::request::{MaxRequestBodySize, MaxRequestBodySizeLayer};
/// use tower::{Layer, service_fn};
///
/// async fn answer(_: Request<Body>) -> Result<Response, std::convert::Infallible> {
///     Ok(Response::default())
/// }
///
/// let limited: MaxRequestBodySize<_> = MaxRequestBodySizeLayer::new(1024).layer(service_fn(answer));
/// # let _ = limited;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Around<S, L> {
    inner: S,
    step: L,
}

impl<S, L> Around<S, L> {
    pub(in crate::request) fn new(inner: S, step: L) -> Self {
        Self { inner, step }
    }
}

impl<S, L, ReqBody, ResBody> Service<Request<ReqBody>> for Around<S, L>
where
    L: Step,
    S: Service<Request<Body>, Response = Response<ResBody>>,
    ReqBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    ResBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = AroundFuture<S::Future, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let mut request = request.map(Body::new);
        let context = RequestContext::of(request.extensions_mut());
        let kept = self.step.enter(&mut request, &context);
        AroundFuture { inner: self.inner.call(request), entered: Some((context, kept)) }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Around`].
    ///
    /// # Example
    ///
    /// See [`Around`].
    pub struct AroundFuture<F, L: Step> {
        #[pin]
        inner: F,
        // Until the answer is there.
        entered: Option<(RequestContext, L::Kept)>,
    }
}

impl<F, L, ResBody, E> Future for AroundFuture<F, L>
where
    L: Step,
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Poll::Ready(response) = this.inner.poll(cx) else {
            let interrupted =
                this.entered.as_ref().and_then(|(context, kept)| L::interrupt(kept, context, cx));
            return interrupted.map_or(Poll::Pending, |response| Poll::Ready(Ok(response)));
        };
        let mut response = response?.map(Body::new);
        if let Some((context, kept)) = this.entered.take() {
            L::leave(kept, &context, &mut response);
        }
        Poll::Ready(Ok(response))
    }
}

impl<F, L: Step> fmt::Debug for AroundFuture<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AroundFuture").finish_non_exhaustive()
    }
}
