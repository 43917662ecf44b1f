//! One connection: its turns, its time, and its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::{CONTENT_LENGTH, DATE, HeaderValue, SERVER};
use http::{Extensions, Method, Request, Response};
use tokio::time::{Instant, Sleep, sleep_until};

use super::exchange::{Connect, StreamExchange};
use super::follower::Signs;
use super::pings::KeepAlivePings;
use super::request::{Expectation, StreamBody};
use super::streams::Streams;
use super::turns::Turns;
use super::wire::Wire;
use super::{GOODBYE, Server};
use crate::http::App;
use crate::http::exchange::Call;
use crate::http::exchange::decoded::{self, Refusal};
use crate::http::exchange::rejection::Rejection;
use crate::http::upgrade::Upgrade;
use crate::request::{BodyWithTrailers, LimitState, RequestContext};
use crate::telemetry::events;
use crate::text::date;

/// Where a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// The client has been told to open no more streams, at this time.
    Goodbye(Instant),
    /// It ends with a code once that has been written.
    Ending(Instant),
}

pub(super) struct Http2Connection<S: App> {
    h2: h2::server::Connection<Wire, Bytes>,
    wire: Wire,
    server: Server<S>,
    streams: Arc<Streams>,
    turns: Turns,
    phase: Phase,
    /// h2 has ended.
    over: bool,
    /// Requests so far.
    number: u64,
    pings: Option<KeepAlivePings>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: App> Http2Connection<S> {
    pub(super) fn new(mut h2: h2::server::Connection<Wire, Bytes>, wire: Wire, server: Server<S>) -> Self {
        let limits = &server.rules.http2_limits;
        let pings = limits.keep_alive_ping_delay.and_then(|delay| {
            Some(KeepAlivePings::new(h2.ping_pong()?, delay, limits.keep_alive_ping_timeout))
        });
        let streams = Streams::new(server.info.clone());
        Self {
            h2,
            wire,
            server,
            streams,
            turns: Turns::default(),
            phase: Phase::Serving,
            over: false,
            number: 0,
            pings,
            timer: None,
        }
    }

    /// One turn: takes what has come, answers what can be answered, and writes it. Ready when the connection has ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.server.info.set_driver(cx.waker());
        loop {
            if self.server.info.wants_abort() {
                return Poll::Ready(());
            }
            if self.server.info.wants_close() && self.phase == Phase::Serving {
                self.say_goodbye();
            }
            if self.over || self.poll_requests(cx).is_ready() {
                self.over = true;
                return self.poll_last_words(cx);
            }
            if self.turns.run() {
                continue; // what they have given to h2 is to be encoded
            }
            let fault = self.wire.lock().take_fault();
            if let Some(fault) = fault {
                events::connection_failed(&self.server.info, &fault.what);
                self.end(fault.reason);
                continue;
            }
            let written = self.wire.lock().poll_write_gathered(cx);
            match written {
                Poll::Ready(Ok(())) => self.streams.flushed(),
                Poll::Ready(Err(error)) => {
                    events::connection_failed(&self.server.info, &error);
                    return Poll::Ready(());
                }
                Poll::Pending => {}
            }
            match self.poll_time(cx) {
                Poll::Ready(AfterTime::Turn) => {}
                Poll::Ready(AfterTime::Close) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes all requests that have come; ready when no more will.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.h2.poll_accept(cx)) {
                Some(Ok((request, respond))) => {
                    self.wire.lock().follower.taken_up(respond.stream_id().as_u32());
                    self.take(request, respond);
                }
                Some(Err(error)) => {
                    if !matches!(self.phase, Phase::Ending(_)) {
                        events::connection_failed(&self.server.info, &error);
                        self.phase = Phase::Ending(Instant::now());
                    }
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }

    /// What h2 wrote at its end goes out, as far as the client takes it.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut wire = self.wire.lock();
        let (over, since) = match self.phase {
            Phase::Ending(since) => (wire.poll_linger(cx), since),
            Phase::Goodbye(since) => (wire.poll_write_gathered(cx), since),
            Phase::Serving => (Poll::Ready(Ok(())), Instant::now()), // the client has gone
        };
        drop(wire);
        if over.is_ready() { Poll::Ready(()) } else { self.poll_timer(since + GOODBYE, cx) }
    }

    fn take(&mut self, mut request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let info = &self.server.info;
        if let Err(refusal) = decoded::take(&mut request, &self.server.rules.head, info.is_https()) {
            return self.refuse(refusal, &mut respond);
        }
        self.number += 1;
        let limits = LimitState::served(self.server.rules.min_response_data_rate, None);
        let context = RequestContext::new(info.clone(), self.number, limits);
        let stream = self.streams.open(context.clone());
        let (mut parts, incoming) = request.into_parts();
        self.add_extensions(&mut parts.extensions, context.clone());
        let (mut expectation, mut connect, mut unread) = (None, None, None);
        let body = if parts.method == Method::CONNECT {
            connect = Upgrade::offer(&mut parts.extensions).map(|upgrade| {
                let limit = Arc::clone(&self.server.upgrades);
                Connect { upgrade, incoming, limit }
            });
            Body::empty()
        } else if incoming.is_end_stream() {
            Body::empty()
        } else {
            expectation = Expectation::of(&parts.headers);
            let rules = self.server.rules.head;
            let (kept, expected) = (context.clone(), expectation.clone());
            let body = StreamBody::new(incoming, &parts.headers, kept, expected, rules);
            unread = Some(body.unread());
            Body::new(BodyWithTrailers::new(body, context))
        };
        let method = parts.method.clone();
        let call =
            Call::new(&mut self.server.app, Request::from_parts(parts, body), info, &self.server.rules);
        let waits_for_body = unread.is_some();
        let exchange =
            StreamExchange { call, method, stream, respond, expectation, connect, _unread: unread };
        let task = Box::pin(exchange.run());
        if waits_for_body {
            Turns::spawn(task); // its handler may block until the body is there
        } else {
            self.turns.push(task);
        }
    }

    fn add_extensions(&self, extensions: &mut Extensions, context: RequestContext) {
        let own = std::mem::replace(extensions, self.server.extensions.clone());
        if let Some(protocol) = own.get::<h2::ext::Protocol>() {
            // axum looks for hyper's.
            extensions.insert(hyper::ext::Protocol::from(protocol.as_str()));
        }
        extensions.extend(own);
        extensions.insert(context);
    }

    fn refuse(&mut self, refusal: Refusal, respond: &mut SendResponse<Bytes>) {
        let info = &self.server.info;
        let rejection = refusal.rejection();
        events::bad_request(info, &rejection, rejection.status().as_u16());
        match refusal {
            Refusal::Answer(rejection) => {
                // Fails when the stream is gone.
                let _ = respond.send_response(bare(rejection, self.server.rules.server), true);
            }
            Refusal::Reset(_) => respond.send_reset(Reason::PROTOCOL_ERROR),
            Refusal::End(_) => self.end(Reason::PROTOCOL_ERROR),
        }
    }

    /// The client is to open no more streams (RFC 9113 section 6.8); those it has are answered.
    fn say_goodbye(&mut self) {
        self.phase = Phase::Goodbye(Instant::now());
        self.h2.graceful_shutdown();
    }

    /// The connection ends with a code, and its streams with it.
    fn end(&mut self, reason: Reason) {
        if !matches!(self.phase, Phase::Ending(_)) {
            self.phase = Phase::Ending(Instant::now());
            self.h2.abrupt_shutdown(reason);
        }
    }

    /// What the time has come for.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<AfterTime> {
        let rules = Arc::clone(&self.server.rules);
        let idle_since = self.streams.idle_since();
        if idle_since.is_some() {
            self.turns.release();
            self.wire.lock().release();
        }
        let (block_since, signs) = {
            let wire = self.wire.lock();
            (wire.follower.block_since(), wire.follower.signs)
        };
        let idle_since = idle_since.map(|since| signs.last_ping.map_or(since, |ping| ping.max(since)));
        let after = |since: Option<Instant>, time: Option<Duration>| since?.checked_add(time?);
        let idle_ends = match self.phase {
            Phase::Serving => after(idle_since, rules.keep_alive),
            Phase::Goodbye(since) => after(idle_since.map(|idle| idle.max(since)), Some(GOODBYE)),
            Phase::Ending(since) => Some(since + GOODBYE),
        };
        // One that ends waits for nothing but its end.
        let ending = matches!(self.phase, Phase::Ending(_));
        let block_ends = after(block_since, rules.request_headers).filter(|_| !ending);
        let ping_due = self.pings.as_ref().filter(|_| !ending).and_then(|pings| pings.due(signs));
        let Some(deadline) = [idle_ends, block_ends, ping_due].into_iter().flatten().min() else {
            self.timer = None;
            return Poll::Pending;
        };
        ready!(self.poll_timer(deadline, cx));
        Poll::Ready(if idle_ends == Some(deadline) {
            if self.phase != Phase::Serving {
                return Poll::Ready(AfterTime::Close);
            }
            self.say_goodbye();
            AfterTime::Turn
        } else if block_ends == Some(deadline) {
            events::connection_failed(&self.server.info, &"the headers did not come in time");
            self.end(Reason::PROTOCOL_ERROR);
            AfterTime::Turn
        } else {
            self.ping(signs);
            AfterTime::Turn
        })
    }

    fn ping(&mut self, signs: Signs) {
        let Some(pings) = &mut self.pings else { return };
        if pings.unanswered_since(signs).is_some() {
            events::connection_failed(&self.server.info, &"no answer to a PING");
            return self.end(Reason::INTERNAL_ERROR);
        }
        pings.send(signs);
    }

    /// A deadline that moves away leaves the timer alone; when it fires too early it is set again.
    fn poll_timer(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// What follows when a time is over.
enum AfterTime {
    Turn,
    Close,
}

/// The answer to a request that no handler sees.
fn bare(rejection: Rejection, server: Option<&'static str>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = rejection.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(DATE, date::now());
    if let Some(server) = server {
        headers.insert(SERVER, HeaderValue::from_static(server));
    }
    response
}
