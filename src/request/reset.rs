//! Ends one stream with a code of one's choice: [`Reset`], by [`ResetLayer`].
//!
//! Part of the default stack. A handler that does not take the extractor pays nothing.
//!
//! ```
//! use axum::{Router, routing::get};
//! use kestrel_rs::request::{ErrorCode, Reset, ResetLayer};
//!
//! async fn proxied(reset: Option<Reset>) -> &'static str {
//!     if let Some(reset) = reset {
//!         reset.stream(ErrorCode::CANCEL); // the client gets no answer, only the code
//!     }
//!     "over HTTP/1, this"
//! }
//!
//! let app: Router = Router::new().route("/", get(proxied)).layer(ResetLayer::new());
//! ```
//!
//! # When it works
//!
//! Before the answer's head is on its way, the stream is reset at once and the handler is dropped
//! where it waits. After it, the body ends with the reset in place of its end: keep the [`Reset`] in
//! the task that writes the body. Octets that wait for the client's flow control are lost, and while
//! some wait the reset does too. Once the answer is complete there is nothing to reset.
//!
//! Alone, under plain `axum::serve`, the layer can only answer with a body that fails at once, so a
//! client may get to see a head of 500 before the reset.
//!
//! # Differences from Kestrel
//!
//! - The handler does not go on after the reset of a stream without an answer.
//! - After a complete answer Kestrel still sends the code, which asks the client to stop sending its
//!   body; hyper says `NO_ERROR` by itself when a body was not read.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode, Version};
use http_body::{Frame, SizeHint};
use tower::Layer;

use super::shared::around::{Around, Step};
use super::shared::state::ResetSignal;
use super::{NotAvailable, RequestContext};

/// Lets handlers reset their stream; see the [module](self).
///
/// # Example
///
/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ResetLayer {}

impl ResetLayer {
    /// Makes the layer; it has no options.
    pub fn new() -> Self {
        Self {}
    }
}

impl<S> Layer<S> for ResetLayer {
    type Service = ResetStreams<S>;

    fn layer(&self, inner: S) -> ResetStreams<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`ResetLayer`].
pub type ResetStreams<S> = Around<S, ResetLayer>;

impl Step for ResetLayer {
    /// Whether this is the outermost layer of its kind, which does the work.
    type Kept = bool;

    #[inline]
    fn enter(&self, _: &mut Request<Body>, context: &RequestContext) -> bool {
        context.reset().enter()
    }

    #[inline]
    fn interrupt(is_outermost: &bool, context: &RequestContext, cx: &Context<'_>) -> Option<Response> {
        let signal = context.reset().signal.get().filter(|_| *is_outermost)?;
        match signal.poll(cx) {
            Poll::Ready(code) => Some(ResetWith(ErrorCode(code)).into_response(signal)),
            Poll::Pending => None,
        }
    }

    #[inline]
    fn leave(is_outermost: bool, context: &RequestContext, response: &mut Response) {
        let Some(signal) = context.reset().signal.get().filter(|_| is_outermost) else { return };
        if let Some(code) = signal.code() {
            *response = ResetWith(ErrorCode(code)).into_response(signal);
        } else if Arc::strong_count(signal) > 1 {
            // Somebody beside the context may still call for a reset.
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = Body::new(ResetBody { body, signal: signal.clone() });
        }
    }
}

/// Resets the stream of the request.
///
/// HTTP/1 has no streams: there the extractor refuses with [`NotAvailable`], `Option<Reset>` is
/// `None`, and [`ConnectionInfo::abort`](crate::ConnectionInfo::abort) is the way.
///
/// # Example
///
/// See the [module](self).
#[derive(Clone)]
pub struct Reset(Arc<ResetSignal>);

impl Reset {
    fn find(parts: &mut Parts) -> Result<Self, NotAvailable> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if context.reset().has_layer() => {
                if parts.version < Version::HTTP_2 {
                    return Err(NotAvailable::in_this_version(
                        "HTTP/1 has no streams to reset: abort the connection, or take an `Option<Reset>`",
                    ));
                }
                Ok(Self(context.reset().signal.get_or_init(Arc::default).clone()))
            }
            _ => Err(NotAvailable::without_layer("ResetLayer")),
        }
    }

    /// Resets the stream with this code. The connection and its other streams live on. Only the
    /// first call counts.
    pub fn stream(&self, code: impl Into<ErrorCode>) {
        self.0.fire(code.into().0);
    }
}

extractor!(Reset, NotAvailable);

impl fmt::Debug for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reset").field("code", &self.0.code().map(ErrorCode)).finish()
    }
}

/// Why a stream is reset: a code of HTTP/2 (RFC 9113, 7), or one of your own.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::ErrorCode;
///
/// assert_eq!(ErrorCode::from(8), ErrorCode::CANCEL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(u32);

impl ErrorCode {
    /// No error.
    pub const NO_ERROR: Self = Self(0x0);
    /// The other side broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// Something unexpected happened on this side.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// The other side sent more than its window.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// The stream was not worked on; the request can be sent again.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is not needed any more.
    pub const CANCEL: Self = Self(0x8);
    /// The connection of a CONNECT request was reset or ended badly.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// The other side causes too much load.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// The connection is not safe enough.
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    /// The request must be sent over HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

impl From<u32> for ErrorCode {
    fn from(code: u32) -> Self {
        Self(code)
    }
}

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

/// An extension of an answer that is not to be sent: the stream is to be reset in its place.
#[derive(Clone, Copy)]
pub(crate) struct ResetWith(ErrorCode);

impl ResetWith {
    fn error(self) -> StreamReset {
        StreamReset(self.reason().into())
    }

    pub(crate) fn reason(self) -> h2::Reason {
        self.0.0.into()
    }

    /// For a server that does not know this extension, a body that fails.
    fn into_response(self, signal: &Arc<ResetSignal>) -> Response {
        let mut response =
            Response::new(Body::new(ResetBody { body: Body::empty(), signal: signal.clone() }));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(self);
        response
    }
}

/// A stream is reset with the code of an `h2::Error` that is found among an error's sources, by hyper too.
#[derive(Debug)]
struct StreamReset(h2::Error);

impl fmt::Display for StreamReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handler reset the stream")
    }
}

impl std::error::Error for StreamReset {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A body that the handler may still end with a reset.
struct ResetBody {
    body: Body,
    signal: Arc<ResetSignal>,
}

impl http_body::Body for ResetBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.signal.poll(cx) {
            Poll::Ready(code) => Poll::Ready(Some(Err(axum::Error::new(ResetWith(ErrorCode(code)).error())))),
            Poll::Pending => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.signal.code().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use axum::Router;
    use axum::routing::get;
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: Router, version: Version) -> Response {
        let request = Request::builder().version(version).body(Body::empty()).unwrap();
        app.layer(ResetLayer::new()).oneshot(request).await.unwrap()
    }

    fn code(error: &axum::Error) -> Option<u32> {
        let mut next = error.source();
        while let Some(error) = next {
            if let Some(h2) = error.downcast_ref::<h2::Error>() {
                return h2.reason().map(u32::from);
            }
            next = error.source();
        }
        None
    }

    #[tokio::test]
    async fn resets_while_the_handler_waits() {
        let app = Router::new().route(
            "/",
            get(async |reset: Reset| {
                tokio::spawn(async move { reset.stream(ErrorCode::CANCEL) });
                std::future::pending::<()>().await;
            }),
        );
        let response = ask(app, Version::HTTP_2).await;
        assert_eq!(response.extensions().get::<ResetWith>().unwrap().0, ErrorCode::CANCEL);
        let error = response.into_body().collect().await.unwrap_err();
        assert_eq!(code(&error), Some(8));
    }

    #[tokio::test]
    async fn a_body_ends_with_the_reset() {
        let app = Router::new().route(
            "/",
            get(async |reset: Reset| {
                let (mut out, body) = http_body_util::channel::Channel::<Bytes>::new(1);
                tokio::spawn(async move {
                    out.send_data("hello".into()).await.unwrap();
                    tokio::task::yield_now().await;
                    reset.stream(77);
                    std::future::pending::<()>().await;
                    drop(out);
                });
                Body::new(body)
            }),
        );
        let mut body = ask(app, Version::HTTP_2).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        assert_eq!(code(&body.frame().await.unwrap().unwrap_err()), Some(77));
    }

    #[tokio::test]
    async fn http1_has_none() {
        let refused = Router::new().route("/", get(async |_: Reset| "not reached"));
        assert_eq!(ask(refused, Version::HTTP_11).await.status(), 500);
        let asked = Router::new().route("/", get(async |reset: Option<Reset>| reset.is_none().to_string()));
        let answer = ask(asked, Version::HTTP_11).await.into_body().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "true");
    }

    #[tokio::test]
    async fn an_unused_reset_leaves_the_body_as_it_is() {
        let app = Router::new().route("/", get(async |_: Reset| "hello"));
        let response = ask(app, Version::HTTP_2).await;
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
}
