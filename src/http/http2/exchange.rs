//! One stream: from the request to the last octet of its answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body::Body as _;
use tokio::time::{Instant, Sleep, sleep_until};

use super::request::{Expectation, Unread};
use super::streams::OpenStream;
use super::tunnel::Tunnel;
use crate::connection::{BoxIo, ConnectionInfo};
use crate::error::BoxError;
use crate::http::App;
use crate::http::exchange::{Answer, Call};
use crate::http::upgrade::{Upgrade, UpgradeLimit};
use crate::limits::ResponseClock;
use crate::request::{Mark, RequestContext, ResetWith};
use crate::telemetry::events;
use crate::text::date;

/// A request that the app is at work on.
pub(super) struct StreamExchange<S: App> {
    pub(super) call: Call<S>,
    pub(super) method: Method,
    pub(super) stream: OpenStream,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) expectation: Option<Arc<Expectation>>,
    pub(super) connect: Option<Connect>,
    /// Kept until the answer is complete.
    pub(super) _unread: Option<Unread>,
}

/// What a CONNECT has in place of a body.
pub(super) struct Connect {
    pub(super) upgrade: Upgrade,
    pub(super) incoming: RecvStream,
    pub(super) limit: Arc<UpgradeLimit>,
}

impl<S: App> StreamExchange<S> {
    /// Answers, and resets the stream where there is no answer.
    pub(super) async fn run(self) {
        let Self { call, method, mut stream, mut respond, expectation, connect, _unread } = self;
        let Some(response) = answered(call, stream.context(), &mut respond, expectation).await else {
            return;
        };
        if let Some(reset) = response.extensions().get::<ResetWith>() {
            return respond.send_reset(reset.reason());
        }
        if stream.context().connection().is_some_and(ConnectionInfo::wants_abort) {
            return respond.send_reset(Reason::INTERNAL_ERROR);
        }
        let mut response = poll_fn({
            let mut response = Some(response);
            move |cx| Poll::Ready(response.take().map(|response| Answer::prepare(response, &method, cx)))
        })
        .await
        .unwrap_or_else(|| Answer::server_error(&HeaderMap::new()));
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response = Answer::server_error(response.headers()); // HTTP/2 has no such status
        }
        if let Some(connect) = connect.filter(|_| response.status().is_success()) {
            match connect.limit.place() {
                Some(_place) => return tunnel(response, connect, &mut respond, stream).await,
                None => response = Answer::server_error(response.headers()),
            }
        }
        match send(response, &mut respond, &mut stream).await {
            Ok(()) => {}
            Err(Failure::Reset(reason)) => {
                stream.flush().await;
                respond.send_reset(reason);
            }
            Err(Failure::TooSlow) => {
                if let Some(info) = stream.context().connection() {
                    events::response_too_slow(info);
                }
                respond.send_reset(Reason::CANCEL);
            }
        }
    }
}

/// Waits for the answer; `None` when the client has reset the stream, which drops the handler.
async fn answered<S: App>(
    call: Call<S>,
    context: &RequestContext,
    respond: &mut SendResponse<Bytes>,
    mut expectation: Option<Arc<Expectation>>,
) -> Option<axum::response::Response> {
    let mut call = pin!(call);
    poll_fn(|cx| {
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(None);
        }
        let called = call.as_mut().poll(cx);
        while let Poll::Ready(headers) = context.poll_early_hints(cx) {
            let mut hints = interim(StatusCode::EARLY_HINTS);
            *hints.headers_mut() = headers;
            // Fails when the stream is gone, as does what follows.
            let _ = respond.send_informational(hints);
        }
        if let Poll::Ready(Ok(response)) = called {
            context.end_early_hints();
            return Poll::Ready(Some(response));
        }
        if let Some(expected) = &expectation
            && expected.poll(cx).is_ready()
        {
            expectation = None;
            // Fails when the stream is gone, which the next poll sees.
            let _ = respond.send_informational(interim(StatusCode::CONTINUE));
        }
        Poll::Pending
    })
    .await
}

fn interim(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

/// Why an answer is not sent to its end.
enum Failure {
    /// What was sent so far is followed by a reset.
    Reset(Reason),
    /// The client takes it below the rate.
    TooSlow,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::Reset(reason)
    }
}

/// Sends head and body.
async fn send(
    response: Response<Answer>,
    respond: &mut SendResponse<Bytes>,
    stream: &mut OpenStream,
) -> Result<(), Failure> {
    let (head, body) = prepare(response);
    let ends = body.has_no_body();
    let outgoing = respond.send_response(head, ends).map_err(|_| Reason::INTERNAL_ERROR)?;
    if ends {
        stream.complete();
        return Ok(());
    }
    let context = stream.context().clone();
    let mut outgoing =
        Outgoing { stream: outgoing, body, context, clock: ResponseClock::default(), timer: None };
    while let Some(frame) = outgoing.next().await? {
        match frame.into_data() {
            Ok(data) => {
                let ends = outgoing.body.is_end_stream();
                outgoing.send(data, ends).await?;
                if ends {
                    stream.complete();
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    outgoing.stream.send_trailers(trailers).map_err(|_| Reason::INTERNAL_ERROR)?;
                    stream.complete();
                    return Ok(());
                }
            }
        }
    }
    outgoing.stream.send_data(Bytes::new(), true).map_err(|_| Reason::INTERNAL_ERROR)?;
    stream.complete();
    Ok(())
}

/// The head as it goes out.
fn prepare(response: Response<Answer>) -> (Response<()>, Answer) {
    let (parts, body) = response.into_parts();
    let mut head = Response::from_parts(parts, ());
    head.extensions_mut().clear();
    let headers = head.headers_mut();
    drop_connection_headers(headers);
    if let Some(length) = body.size_hint().exact().filter(|_| !body.is_end_stream())
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    headers.entry(DATE).or_insert_with(date::now);
    (head, body)
}

/// Leaves out what is about a connection of HTTP/1 (RFC 9113 section 8.2.2).
fn drop_connection_headers(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    let is_of_connection = |name: &&HeaderName| {
        matches!(**name, CONNECTION | TRANSFER_ENCODING | UPGRADE)
            || **name == KEEP_ALIVE
            || **name == PROXY_CONNECTION
    };
    let Some(found) = headers.keys().find(is_of_connection).cloned() else { return };
    events::connection_headers_dropped(&found);
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// The body of an answer and where it goes.
struct Outgoing {
    stream: SendStream<Bytes>,
    body: Answer,
    /// Has the rate, which may change while the answer is sent.
    context: RequestContext,
    clock: ResponseClock,
    /// Of a client that takes no more.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Outgoing {
    /// The next frame of the body, unless the client resets the stream first.
    async fn next(&mut self) -> Result<Option<http_body::Frame<Bytes>>, Reason> {
        poll_fn(|cx| match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(
                frame.transpose().map_err(|error| reason(&error.into()).unwrap_or(Reason::INTERNAL_ERROR)),
            ),
            Poll::Pending => {
                self.clock.taken(); // all that there was
                self.poll_reset(cx).map(Err)
            }
        })
        .await
    }

    /// Gives h2 as much at a time as the client's windows take.
    async fn send(&mut self, mut data: Bytes, ends: bool) -> Result<(), Failure> {
        self.clock.set_rate(self.context.limits().response_rate());
        let mut waited = false;
        while !data.is_empty() {
            self.stream.reserve_capacity(data.len());
            let capacity = match self.stream.capacity() {
                0 => {
                    waited = true;
                    poll_fn(|cx| self.poll_capacity(cx)).await?
                }
                capacity => capacity,
            };
            let piece = data.split_to(capacity.min(data.len()));
            let ends = ends && data.is_empty();
            if self.clock.runs() && !ends {
                self.clock.wrote(piece.len() as u64, Instant::now());
            }
            self.stream.send_data(piece, ends).map_err(|_| Reason::INTERNAL_ERROR)?;
        }
        if !waited {
            self.clock.taken();
        }
        Ok(())
    }

    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        if let Poll::Ready(reason) = self.poll_reset(cx) {
            return Poll::Ready(Err(reason.into()));
        }
        loop {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(0))) => {}
                Poll::Ready(Some(Ok(capacity))) => return Poll::Ready(Ok(capacity)),
                Poll::Ready(Some(Err(_)) | None) => {
                    return Poll::Ready(Err(Reason::INTERNAL_ERROR.into()));
                }
                Poll::Pending => return self.poll_too_slow(cx).map(|()| Err(Failure::TooSlow)),
            }
        }
    }

    /// Ready when the client has taken nothing for too long.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.clock.set_rate(self.context.limits().response_rate());
        if !self.clock.is_stalled() {
            self.clock.stall(Instant::now());
        }
        let Some(due) = self.clock.due() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        self.stream.poll_reset(cx).map(|reset| reset.unwrap_or(Reason::INTERNAL_ERROR))
    }
}

/// The code that a body wants its stream to be reset with.
fn reason(error: &BoxError) -> Option<Reason> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
            return Some(reason);
        }
        next = error.source();
    }
    None
}

/// What the app made of a CONNECT: octets both ways until both have ended.
async fn tunnel(
    response: Response<Answer>,
    connect: Connect,
    respond: &mut SendResponse<Bytes>,
    mut stream: OpenStream,
) {
    let (head, _) = prepare(response);
    let Ok(outgoing) = respond.send_response(head, false) else { return };
    stream.context().limits().mark(Mark::Upgraded);
    connect.upgrade.run(BoxIo::new(Tunnel::new(connect.incoming, outgoing))).await;
    stream.complete();
}
