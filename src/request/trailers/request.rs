//! Trailers of a request.

use std::fmt;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};

use super::TrailersError;
use crate::request::{NotAvailable, RequestContext};

/// The trailers of the request: the fields that a client sends after its body.
///
/// They are there once the body has been read to its end, by whoever: `Bytes`, `String`, `Json` and
/// the like do so. A request without a body has its (empty) trailers at once.
///
/// `Connection`, `Host` and `Transfer-Encoding` are left out over HTTP/1 (RFC 9110, 6.5.1); over
/// HTTP/2 the first and the last make a request malformed (RFC 9113, 8.2.2). No other name is
/// forbidden.
///
/// # Example
///
/// ```
/// use axum::body::Bytes;
/// use kestrel_rs::request::{RequestTrailers, TrailersError};
///
/// async fn handler(trailers: RequestTrailers, body: Bytes) -> Result<String, TrailersError> {
///     let checksum = trailers.get()?.get("x-checksum");
///     Ok(format!("{} octets with the checksum {checksum:?}", body.len()))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(handler));
/// ```
#[derive(Clone)]
pub struct RequestTrailers(RequestContext);

impl RequestTrailers {
    fn find(parts: &mut Parts) -> Result<Self, NotAvailable> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if context.trailers().has_layer() => Ok(Self(context.clone())),
            _ => Err(NotAvailable::without_layer("TrailersLayer")),
        }
    }

    /// The trailers; empty where there were none.
    ///
    /// It is an error to ask before the body has been read to its end, or when it could not be.
    pub fn get(&self) -> Result<&HeaderMap, TrailersError> {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        if !self.is_available() {
            return Err(TrailersError::BodyNotRead);
        }
        Ok(self.0.trailers().received.get().map_or(&*NONE, |trailers| trailers))
    }

    /// Whether the body has been read to its end.
    pub fn is_available(&self) -> bool {
        self.0.trailers().has_body_ended()
    }
}

extractor!(RequestTrailers, NotAvailable);

impl fmt::Debug for RequestTrailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestTrailers").field(&self.get()).finish()
    }
}

pin_project_lite::pin_project! {
    /// A request's body, whose trailers are noted as they pass.
    pub(crate) struct BodyWithTrailers<B> {
        #[pin]
        body: B,
        context: RequestContext,
    }
}

impl<B> BodyWithTrailers<B> {
    pub(crate) fn new(body: B, context: RequestContext) -> Self {
        Self { body, context }
    }
}

impl<B: Body> Body for BodyWithTrailers<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        match &frame {
            None => this.context.trailers().set_received(None),
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.context.trailers().set_received(Some(trailers));
                } else if this.body.is_end_stream() {
                    this.context.trailers().set_received(None);
                }
            }
            Some(Err(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
