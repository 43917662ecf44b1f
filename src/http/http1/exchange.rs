//! One request and its answer, between hyper and the app.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{ConnectInfo, OriginalUri};
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, Entry};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tower::ServiceExt;
use tower::util::Oneshot;

use super::gate::RequestNotes;
use super::head::Asks;
use super::shared::Shared;
use super::target;
use crate::connection::ConnectionInfo;
use crate::http::App;
use crate::http::upgrade::UpgradeLimit;
use crate::request::{BodyError, LimitState, Mark, RequestContext};

/// hyper's service for one connection.
pub(super) struct Exchanges<S> {
    pub(super) app: S,
    pub(super) shared: Shared,
    pub(super) info: ConnectionInfo,
    pub(super) upgrades: Arc<UpgradeLimit>,
}

impl<S: App> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Exchange<S>;

    fn call(&self, request: Request<Incoming>) -> Exchange<S> {
        let mut state = self.shared.lock();
        let notes = state.gate.next_request();
        state.number += 1;
        let rate = state.gate.rules.min_response_data_rate;
        state.gate.output.set_rate(rate); // what the request before set was its own
        let limits = LimitState::http1(rate, notes.framing.clone());
        let context = RequestContext::new(self.info.clone(), state.number, limits);
        state.current = Some(context.clone());
        state.answer_begun = false;
        drop(state);

        let mut request = request.map(|body| {
            // A body that is empty costs no allocation.
            if body.is_end_stream() {
                Body::empty()
            } else {
                Body::new(RequestBody::new(body, &self.shared, &context))
            }
        });
        notes.restore(&mut request);
        let extensions = request.extensions_mut();
        if let Some(remote) = self.info.remote_addr() {
            extensions.insert(ConnectInfo(remote));
        }
        extensions.insert(context);
        Exchange {
            answer: self.app.clone().oneshot(request),
            notes,
            shared: self.shared.clone(),
            info: self.info.clone(),
            upgrades: self.upgrades.clone(),
        }
    }
}

impl RequestNotes {
    /// Undoes what the gate did to the head for hyper's sake, and adds what hyper leaves out.
    fn restore<B>(&self, request: &mut Request<B>) {
        if self.asks.has(Asks::HTTP10) {
            *request.version_mut() = Version::HTTP_10;
        }
        if self.hidden_expect {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        if let Some(length) = &self.dropped_length {
            if let Entry::Vacant(entry) = request.headers_mut().entry(X_CONTENT_LENGTH) {
                entry.insert(length.clone());
            }
        }
        if !self.asks_upgrade() {
            request.extensions_mut().remove::<OnUpgrade>();
        }
        if self.asks.has(Asks::NORMALIZE) {
            if let Some(uri) = target::normalize(request.uri()) {
                let original = std::mem::replace(request.uri_mut(), uri);
                request.extensions_mut().insert(OriginalUri(original));
            }
        }
    }
}

/// Kestrel keeps a Content-Length that a Transfer-Encoding overruled under this name.
const X_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-content-length");

pin_project_lite::pin_project! {
    /// The app at work on a request.
    pub(super) struct Exchange<S: App> {
        #[pin]
        answer: Oneshot<S, Request<Body>>,
        notes: RequestNotes,
        shared: Shared,
        info: ConnectionInfo,
        upgrades: Arc<UpgradeLimit>,
    }
}

impl<S: App> Future for Exchange<S> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answer.poll(cx));
        let mut state = this.shared.lock();
        state.answer_begun = true;
        if let Some(rate) = state.current.as_ref().map(|context| context.limits().response_rate()) {
            state.gate.output.set_rate(rate);
        }
        if this.info.wants_abort() {
            state.client_gone();
            state.gate.output.refuse();
        }
        let mut refused = None; // dropped when the lock is free: it may hold the request's body
        let asks = this.notes.asks;
        if this.notes.asks_upgrade() {
            let accepted = if asks.has(Asks::CONNECT) {
                response.status().is_success()
            } else {
                response.status() == StatusCode::SWITCHING_PROTOCOLS
            };
            let upgraded = accepted && this.upgrades.admit(this.info);
            if accepted && !upgraded {
                refused = Some(std::mem::replace(&mut response, Response::new(Body::empty())));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            }
            if let (true, Some(context)) = (upgraded, &state.current) {
                context.limits().mark(Mark::Upgraded);
            }
            if asks.has(Asks::CONNECT) && !upgraded {
                // The client may have sent what was meant for the tunnel.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            state.gate.decide_upgrade(upgraded);
        }
        if this.info.wants_close() && !state.gate.is_tunnel() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if asks.has(Asks::HTTP10) && !state.gate.is_tunnel() {
            let length_known = has_length(&response);
            if !length_known {
                // Makes hyper end the body with the connection; the status line says 1.1 all the same.
                *response.version_mut() = Version::HTTP_10;
                state.gate.output.patch_next_version();
            }
            if let Entry::Vacant(entry) = response.headers_mut().entry(CONNECTION) {
                let keep_alive = asks.has(Asks::KEEP_ALIVE) && length_known;
                entry.insert(HeaderValue::from_static(if keep_alive { "keep-alive" } else { "close" }));
            }
        }
        drop(state);
        drop(refused);
        let shared = this.shared.clone();
        Poll::Ready(Ok(response.map(|body| AnswerBody { body, shared, unflushed: false, error: None })))
    }
}

/// Whether the end of the body is known without closing the connection.
fn has_length(response: &Response<Body>) -> bool {
    let body = response.body();
    body.is_end_stream()
        || body.size_hint().exact().is_some()
        || response.headers().contains_key(CONTENT_LENGTH)
}

/// A request's body as the app gets it.
struct RequestBody {
    /// `None` once its end was seen.
    incoming: Option<Incoming>,
    shared: Shared,
    context: RequestContext,
}

impl RequestBody {
    fn new(incoming: Incoming, shared: &Shared, context: &RequestContext) -> Self {
        Self { incoming: Some(incoming), shared: shared.clone(), context: context.clone() }
    }
}

/// Whether nothing comes after what `body` gave last. hyper does not say so by itself when the
/// answer is complete before the body is, until the next request.
pub(super) fn is_last<E>(frame: Option<&Result<Frame<Bytes>, E>>, body: &Incoming) -> bool {
    match frame {
        Some(Ok(frame)) => frame.is_trailers() || body.is_end_stream(),
        Some(Err(_)) | None => true,
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if is_last(frame.as_ref(), incoming) {
            self.incoming = None;
        }
        let fault = frame.as_ref().and_then(|frame| BodyError::find(frame.as_ref().err()?));
        if let Some(status) = fault.and_then(BodyError::status) {
            self.context.limits().fail(status);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // hyper closes the connection when a body that is not at its end is dropped, which is right
        // for one that failed. Any other is read to its end.
        if self.context.limits().has(Mark::Abandoned) {
            return;
        }
        if let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) {
            self.shared.lock().unread = Some(incoming);
            self.shared.wake_driver();
        }
    }
}

/// An answer's body as hyper gets it. Dropped when hyper has all of it, which ends the exchange.
pub(super) struct AnswerBody {
    body: Body,
    shared: Shared,
    /// hyper has octets that it has not flushed.
    unflushed: bool,
    error: Option<axum::Error>,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = match this.error.take() {
            Some(error) => Some(Err(error)),
            None => match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    this.unflushed = false;
                    return Poll::Pending;
                }
            },
        };
        match frame {
            Some(Err(error)) if this.unflushed => {
                // An error makes hyper drop what it has not flushed; the client is to have what
                // the handler wrote before it failed.
                this.unflushed = false;
                this.error = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => {
                this.unflushed = true;
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // The context may be the last hold on much else, so it goes after the lock.
        let current = self.shared.lock().current.take();
        drop(current);
    }
}
