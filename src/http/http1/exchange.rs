//! One request and its answer, between hyper and the app.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;

use super::head::Asks;
use super::notes::RequestNotes;
use super::shared::Shared;
use crate::http::App;
use crate::http::exchange::Answer;
use crate::http::exchange::Call;
use crate::request::{BodyError, BodyWithTrailers, LimitState, Mark, RequestContext};

/// hyper's service for one connection.
pub(super) struct Exchanges<S> {
    /// One for the connection: its requests come one after the other.
    pub(super) app: RefCell<S>,
    pub(super) shared: Shared,
    /// What every request of the connection has in its extensions.
    pub(super) extensions: Extensions,
}

impl<S: App> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Exchange<S>;

    fn call(&self, request: Request<Incoming>) -> Exchange<S> {
        let mut state = self.shared.lock();
        let notes = state.gate.next_request();
        if state.gate.last_request {
            // hyper had it before it was known that none would follow.
            state.came_behind_last = true;
            return Exchange { answer: None, notes, method: Method::default(), shared: None };
        }
        state.number += 1;
        let rate = state.gate.rules.min_response_data_rate;
        state.gate.output.set_rate(rate); // what the request before set was its own
        let limits = LimitState::served(rate, notes.framing.clone());
        let context = RequestContext::new(self.shared.info().clone(), state.number, limits);
        state.current = Some(context.clone());
        state.answer_begun = false;
        let rules = state.gate.rules.clone();
        drop(state);

        let mut request = request.map(|body| {
            // A body that is empty costs no allocation.
            if body.is_end_stream() {
                Body::empty()
            } else {
                Body::new(BodyWithTrailers::new(
                    RequestBody::new(body, &self.shared, &context),
                    context.clone(),
                ))
            }
        });
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let extensions = request.extensions_mut();
        *extensions = self.extensions.clone();
        extensions.insert(context);
        if let Some(upgrade) = upgrade.filter(|_| notes.asks_upgrade()) {
            extensions.insert(upgrade);
        }
        notes.restore(&mut request);
        let method = request.method().clone();
        let answer = Some(Call::new(&mut *self.app.borrow_mut(), request, self.shared.info(), &rules));
        Exchange { answer, notes, method, shared: Some(self.shared.clone()) }
    }
}

pin_project_lite::pin_project! {
    /// The app at work on a request.
    pub(super) struct Exchange<S: App> {
        // `None`: behind the last request of the connection, which gets no answer.
        #[pin]
        answer: Option<Call<S>>,
        notes: RequestNotes,
        method: Method,
        // `Some` until the answer is there.
        shared: Option<Shared>,
    }
}

impl<S: App> Future for Exchange<S> {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(answer) = this.answer.as_pin_mut() else { return Poll::Pending };
        let Ok(response) = ready!(answer.poll(cx));
        let Some(shared) = this.shared.take() else { return Poll::Pending };
        let mut response = Answer::prepare(response, this.method, cx);
        let info = shared.info();
        let asks = this.notes.asks;
        let mut state = shared.lock();
        state.answer_begun = true;
        if let Some(rate) = state.current.as_ref().map(|context| context.limits().response_rate()) {
            state.gate.output.set_rate(rate);
        }
        if info.wants_abort() {
            state.client_gone();
            state.gate.output.refuse();
        }
        if this.notes.asks_upgrade() {
            let accepted = if asks.has(Asks::CONNECT) {
                response.status().is_success()
            } else {
                response.status() == StatusCode::SWITCHING_PROTOCOLS
            };
            let upgraded = accepted && shared.upgrades().admit(info);
            if accepted && !upgraded {
                response = Answer::server_error(response.headers());
            }
            if let (true, Some(context)) = (upgraded, &state.current) {
                context.limits().mark(Mark::Upgraded);
            }
            state.gate.decide_upgrade(upgraded);
        }
        let tunnel = state.gate.is_tunnel();
        drop(state);
        if !tunnel {
            let length_known = !asks.has(Asks::HTTP10) || prepare_for_http10(&mut response, &shared);
            let stays = asks.has(Asks::KEEP_ALIVE) && length_known && !info.wants_close();
            if !stays || is_last_answer(&response) {
                say_close(response.headers_mut());
            } else if asks.has(Asks::HTTP10) {
                response.headers_mut().entry(CONNECTION).or_insert(HeaderValue::from_static("keep-alive"));
            }
        }
        if response.status() != StatusCode::OK {
            name_status(&mut response);
        }
        Poll::Ready(Ok(response.map(|answer| AnswerBody { answer, shared })))
    }
}

/// What hyper would do, did it know that the client speaks HTTP/1.0. Whether the end of the answer is known without
/// closing the connection.
fn prepare_for_http10(response: &mut Response<Answer>, shared: &Shared) -> bool {
    response.headers_mut().remove(TRANSFER_ENCODING); // RFC 9112 section 6.1
    let length_known = has_length(response);
    if !length_known {
        // Makes hyper end the body with the connection; the status line says 1.1 all the same.
        *response.version_mut() = Version::HTTP_10;
        shared.lock().gate.output.patch_next_version();
    }
    length_known
}

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Says `close`, beside the handler's own options and in place of its `keep-alive`.
fn say_close(headers: &mut HeaderMap) {
    let lines = headers.get_all(CONNECTION).iter();
    let options =
        lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b',')).map(<[u8]>::trim_ascii);
    let is_other = |option: &&[u8]| {
        !option.is_empty()
            && !option.eq_ignore_ascii_case(b"close")
            && !option.eq_ignore_ascii_case(b"keep-alive")
    };
    let options: Vec<_> = options.filter(is_other).chain([&b"close"[..]]).collect();
    // Pieces of good values, with commas between.
    let value = HeaderValue::from_bytes(&options.join(&b", "[..])).unwrap_or(CLOSE);
    headers.insert(CONNECTION, value);
}

/// Whether the connection ends with an answer for what the handler says: a 101 for which there is no tunnel, `close`, and,
/// as with Kestrel, connection options with no `keep-alive` among them.
fn is_last_answer<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let has_options = headers.contains_key(CONNECTION);
    if response.status() == StatusCode::SWITCHING_PROTOCOLS || !has_options {
        return !has_options && response.status() == StatusCode::SWITCHING_PROTOCOLS;
    }
    let names = |name| headers.get_all(CONNECTION).iter().any(|line| names_option(line, name));
    names(b"close") || !names(b"keep-alive")
}

fn names_option(connection: &HeaderValue, name: &[u8]) -> bool {
    let mut options = connection.as_bytes().split(|octet| *octet == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name))
}

/// The words of a status where hyper has others than Kestrel, or `<none>`.
fn name_status<B>(response: &mut Response<B>) {
    const NO_WORDS: ReasonPhrase = ReasonPhrase::from_static(b"");
    let words = match response.status().as_u16() {
        203 => ReasonPhrase::from_static(b"Non-Authoritative Information"),
        306 => ReasonPhrase::from_static(b"Switch Proxy"),
        419 => ReasonPhrase::from_static(b"Authentication Timeout"),
        425 => NO_WORDS,
        499 => ReasonPhrase::from_static(b"Client Closed Request"),
        _ if response.status().canonical_reason().is_none() => NO_WORDS,
        _ => return,
    };
    response.extensions_mut().get_or_insert(words);
}

/// Whether the end of the body is known without closing the connection.
fn has_length(response: &Response<Answer>) -> bool {
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
        let mut frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
            // What frames or routes a message is no trailer (RFC 9110 section 6.5.1).
            for name in [CONNECTION, HOST, TRANSFER_ENCODING] {
                trailers.remove(name);
            }
        }
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
        // What failed, or is too large, is the last of its connection. hyper closes when the rest of
        // a dropped body is not there yet; when it is, the gate does. Any other body is read to its
        // end.
        if self.context.limits().has(Mark::Abandoned) {
            self.shared.lock().gate.last_request = true;
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
    answer: Answer,
    shared: Shared,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.answer).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // The context may be the last hold on much else, so it goes after the lock.
        let current = self.shared.lock().current.take();
        drop(current);
    }
}
