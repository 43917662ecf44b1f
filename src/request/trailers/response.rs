//! Trailers of a response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    HOST, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Frame, SizeHint};

use super::TrailersError;
use crate::request::shared::state::{TrailersPhase, TrailersSoFar, TrailersToSend, TrailersWay};
use crate::request::{NotAvailable, RequestContext};

/// The trailers of the answer: fields that follow its body.
///
/// They can be appended until the body ends, also by a task that writes it. An answer of 500 has
/// none, nor has one without a body by its nature: to HEAD, 204, 304, an accepted CONNECT.
///
/// # Example
///
/// A checksum after a body that is sent while it is made:
///
/// ```
/// use axum::body::Body;
/// use http_body_util::channel::Channel;
/// use kestrel_rs::request::{ResponseTrailers, TrailersError};
///
/// async fn handler(trailers: ResponseTrailers) -> Result<Body, TrailersError> {
///     if trailers.supported() {
///         trailers.declare("x-checksum")?;
///     }
///     let (mut out, body) = Channel::<_>::new(1);
///     tokio::spawn(async move {
///         if out.send_data("hello".into()).await.is_ok() && trailers.supported() {
///             let _ = trailers.append("x-checksum", "5d41402abc4b2a76"); // its error: the client has gone
///         }
///     });
///     Ok(Body::new(body))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone)]
pub struct ResponseTrailers(Arc<TrailersToSend>);

impl ResponseTrailers {
    fn find(parts: &mut Parts) -> Result<Self, NotAvailable> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if context.trailers().has_layer() => {
                let shared = context.trailers().to_send.get_or_init(|| Arc::new(TrailersToSend::new(parts)));
                Ok(Self(shared.clone()))
            }
            _ => Err(NotAvailable::without_layer("TrailersLayer")),
        }
    }

    /// Whether the client takes trailers: over HTTP/2 always, over HTTP/1.1 if it sent `TE: trailers`.
    pub fn supported(&self) -> bool {
        self.0.way != TrailersWay::None
    }

    /// Announces a trailer in the `Trailer` header. It is an error once the head is on its way.
    ///
    /// Over HTTP/1.1 a trailer that is appended after the head must have been declared before it.
    pub fn declare(&self, name: impl TryInto<HeaderName>) -> Result<(), TrailersError> {
        let name = self.check(name)?;
        let mut state = self.0.lock();
        match state.phase {
            TrailersPhase::Before => {}
            TrailersPhase::Body => return Err(TrailersError::HeadSent),
            TrailersPhase::Complete => return Err(TrailersError::Complete),
        }
        if !state.declared.contains(&name) {
            state.declared.push(name);
        }
        Ok(())
    }

    /// Adds a trailer, beside what has been appended under its name. It is an error once the body
    /// has ended.
    pub fn append(
        &self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<(), TrailersError> {
        let name = self.check(name)?;
        let value = value.try_into().map_err(|_| TrailersError::Invalid)?;
        let mut state = self.0.lock();
        match state.phase {
            TrailersPhase::Complete => return Err(TrailersError::Complete),
            TrailersPhase::Body if self.0.way == TrailersWay::Http1 && !state.declared.contains(&name) => {
                return Err(TrailersError::NotDeclared);
            }
            TrailersPhase::Before | TrailersPhase::Body => {}
        }
        match state.fields.try_append(name, value) {
            Ok(_) => Ok(()),
            Err(_) => Err(TrailersError::Invalid), // more than a map holds: 32,768 names
        }
    }

    fn check(&self, name: impl TryInto<HeaderName>) -> Result<HeaderName, TrailersError> {
        if !self.supported() {
            return Err(TrailersError::NotSupported);
        }
        let name = name.try_into().map_err(|_| TrailersError::Invalid)?;
        if is_forbidden(&name) { Err(TrailersError::Forbidden) } else { Ok(name) }
    }
}

extractor!(ResponseTrailers, NotAvailable);

impl fmt::Debug for ResponseTrailers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("ResponseTrailers")
            .field("supported", &self.supported())
            .field("declared", &state.declared)
            .field("fields", &state.fields)
            .finish()
    }
}

/// RFC 9110, 6.5.1: what frames, routes or says how to read the message is of no use after it; hyper
/// drops these on HTTP/1. RFC 9113, 8.2.2: what is about an HTTP/1 connection makes HTTP/2 malformed.
fn is_forbidden(name: &HeaderName) -> bool {
    let of_a_message = [
        AUTHORIZATION,
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        HOST,
        MAX_FORWARDS,
        SET_COOKIE,
        TE,
        TRAILER,
    ];
    let of_a_connection = [CONNECTION, TRANSFER_ENCODING, UPGRADE];
    of_a_message.contains(name)
        || of_a_connection.contains(name)
        || name == "keep-alive"
        || name == "proxy-connection"
}

/// The head is about to be sent: names the trailers in it, and lets them follow the body.
pub(super) fn begin(shared: &Arc<TrailersToSend>, response: &mut Response<Body>) {
    let mut state = shared.lock();
    if !shared.can_follow(response) {
        state.end();
        return;
    }
    let http1 = shared.way == TrailersWay::Http1;
    if http1 {
        let TrailersSoFar { declared, fields, .. } = &mut *state;
        let undeclared = fields.keys().filter(|name| !declared.contains(name)).cloned();
        let undeclared: Vec<_> = undeclared.collect();
        declared.extend(undeclared);
    }
    for name in &state.declared {
        response.headers_mut().append(TRAILER, HeaderValue::from(name.clone()));
    }
    if http1 {
        // What the handler wrote into the header itself is declared too.
        state.declared = names(response.headers(), &TRAILER).collect();
    }
    // Nobody can append any more, or only what would not be sent.
    let unused = state.fields.is_empty() && state.declared.is_empty();
    if unused && (http1 || Arc::strong_count(shared) == 1) {
        state.end();
        return;
    }
    state.phase = TrailersPhase::Body;
    drop(state);
    if http1 {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let (body, shared) = (std::mem::take(response.body_mut()), shared.clone());
    *response.body_mut() = Body::new(TrailersBody { body, shared, chunked: http1, complete: false });
}

/// The names of fields in a header that lists them.
fn names(headers: &HeaderMap, list: &HeaderName) -> impl Iterator<Item = HeaderName> {
    let values = headers.get_all(list).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok())
}

/// A body that trailers follow.
struct TrailersBody {
    body: Body,
    shared: Arc<TrailersToSend>,
    /// No length is told, so that hyper sends chunks.
    chunked: bool,
    complete: bool,
}

impl http_body::Body for TrailersBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.complete {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                this.complete = true;
                this.shared.lock().end();
                return Poll::Ready(Some(Err(error)));
            }
            None => Frame::trailers(HeaderMap::new()),
        };
        // The body may bring trailers of its own.
        let mut trailers = match frame.into_trailers() {
            Ok(trailers) => trailers,
            Err(data) => return Poll::Ready(Some(Ok(data))),
        };
        this.complete = true;
        let fields = this.shared.lock().end();
        for (name, value) in &fields {
            trailers.append(name, value.clone());
        }
        Poll::Ready((!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.complete
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked { SizeHint::default() } else { self.body.size_hint() }
    }
}

impl Drop for TrailersBody {
    fn drop(&mut self) {
        self.shared.lock().end();
    }
}
