//! A connection of HTTP/1, from its first octet to its last.
//!
//! ```text
//! asleep -> head -> exchange: app, answer, rest of the body -> head -> ...
//!    ^       |
//!    '-------'  nothing has come for a while
//! ```
//!
//! What runs is [`serve`], and it reads like the protocol. It leaves by an [`End`], from wherever it is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{Extensions, HeaderMap, Request, Response, StatusCode};
use http_body::{Body as _, Frame};

use super::answer::{AnswerHead, Fate, Framing, chunk_size, last_chunk};
use super::exchange::{Exchange, Rest};
use super::head::{Asks, BodyLength, Head, HeadParser};
use super::incoming::{self, Decoded};
use super::line::{At, End, Line};
use super::request;
use crate::connection::ConnectionInfo;
use crate::http::App;
use crate::http::exchange::{Answer, Call, extensions};
use crate::http::rules::Rules;
use crate::http::upgrade::{Upgrade, UpgradeLimit};
use crate::request::{LimitState, Mark, RequestContext};
use crate::telemetry::events;
use crate::transport::{BoxIo, Rewind};

/// Serves a connection to its end, or to the preface of HTTP/2: then its stream, and what was read of it.
pub(crate) async fn serve<S: App>(
    io: BoxIo,
    info: &ConnectionInfo,
    app: &mut S,
    rules: &Arc<Rules>,
    upgrades: &UpgradeLimit,
) -> Option<(BoxIo, BytesMut)> {
    let mut line = Line::new(io, info.clone(), rules.clone());
    loop {
        let end = match line.sleep().await {
            // What a busy connection needs is in a box, and gone while it is idle.
            Ok(()) => Box::pin(requests(&mut line, app, upgrades)).await,
            Err(end) => end,
        };
        match end {
            End::Asleep => {}
            End::Http2 => return Some(line.into_stream()),
            End::Upgraded(upgrade) => {
                Box::pin(tunnel(line, upgrade)).await;
                return None;
            }
            end => {
                finish(&mut line, end).await;
                return None;
            }
        }
    }
}

/// What a connection keeps from one request to the next while it is busy.
struct Kept {
    parser: HeadParser,
    /// Of the last answer, empty, with its memory.
    headers: HeaderMap,
    /// What every request has.
    extensions: Extensions,
    /// Of the last request.
    context: Option<RequestContext>,
}

/// Serves requests while there are some.
async fn requests<S: App>(line: &mut Line, app: &mut S, upgrades: &UpgradeLimit) -> End {
    let (parser, headers, extensions) = (HeadParser::default(), HeaderMap::new(), extensions(&line.info));
    let mut kept = Kept { parser, headers, extensions, context: None };
    loop {
        match exchange(line, app, upgrades, &mut kept).await {
            Ok(()) if line.is_over() => return End::Close,
            // Who pipelines without end leaves time for others.
            Ok(()) if !line.input.is_empty() => tokio::task::consume_budget().await,
            Ok(()) => {}
            Err(end) => return end,
        }
    }
}

/// One request and its answer.
async fn exchange<S: App>(
    line: &mut Line,
    app: &mut S,
    upgrades: &UpgradeLimit,
    kept: &mut Kept,
) -> Result<(), End> {
    let head = line.next_head(&mut kept.parser).await?;
    let (exchange, request) = begin(line, &head, kept)?;
    let mut call = pin!(Some(Call::new(app, request, &line.info, &line.rules)));
    // Let go of before the call: a handler that is dropped finds its request aborted.
    let mut exchange = exchange;
    let response = answered(line, call.as_mut(), &mut exchange).await?;
    call.set(None);
    if exchange.is_cut(line) {
        return Err(End::Close);
    }
    let (framing, answer) = write_head(line, response, &mut exchange, upgrades, kept).await?;
    write_body(line, answer, framing, &mut exchange).await?;
    exchange.complete = true;
    if !matches!(exchange.rest, Rest::None) {
        line.wait(At::Rest, |line, cx| {
            if let Poll::Ready(written) = line.poll_write(cx) {
                written?;
            }
            exchange.poll_rest(line, cx)
        })
        .await?;
    }
    if head.body != BodyLength::None {
        line.before = Some(exchange.context.clone());
    }
    kept.context = Some(exchange.context.clone());
    Ok(())
}

/// A head is whole and good: what the app gets of it.
fn begin(line: &mut Line, head: &Head, kept: &mut Kept) -> Result<(Exchange, Request<Body>), End> {
    let octets = line.input.split_to(head.len).freeze();
    line.number += 1;
    let counter = incoming::counter(head);
    let limits = LimitState::served(line.rules.min_response_data_rate, counter.clone());
    limits.mark(Mark::WritesServer);
    line.before = None;
    let context = match kept.context.take() {
        Some(context) => context.next(&line.info, line.number, limits),
        None => RequestContext::new(line.info.clone(), line.number, limits),
    };
    let headers = std::mem::take(&mut kept.headers);
    let mut request = request::build(head, &octets, kept.parser.fields(), headers, Body::empty())?;
    let own = std::mem::replace(request.extensions_mut(), kept.extensions.clone());
    request.extensions_mut().extend(own);
    request.extensions_mut().insert(context.clone());
    let asks = head.asks;
    let may_upgrade = asks.has(Asks::UPGRADE) || asks.has(Asks::CONNECT);
    let upgrade = if may_upgrade && head.body == BodyLength::None {
        Upgrade::offer(request.extensions_mut())
    } else {
        None
    };
    line.last |= !asks.has(Asks::KEEP_ALIVE) || head.dropped_content_length.is_some();
    let method = request.method().clone();
    let mut exchange =
        Exchange { context, method, asks, rest: Rest::None, upgrade, begun: false, complete: false };
    if head.body != BodyLength::None {
        let waker = line.waker().clone();
        let (body, incoming, decoded) =
            incoming::begin(head, &mut line.input, &line.rules.head, counter, &exchange.context, &waker);
        *request.body_mut() = body;
        exchange.rest = incoming.map_or(Rest::None, Rest::Coming);
        if let Decoded::Bad(_) = decoded {
            exchange.note(decoded, line);
        }
    }
    Ok((exchange, request))
}

/// Runs the app until it has answered.
async fn answered<S: App>(
    line: &mut Line,
    mut call: Pin<&mut Option<Call<S>>>,
    exchange: &mut Exchange,
) -> Result<Response<Answer>, End> {
    line.wait(At::Exchange, |line, cx| {
        loop {
            let called = call.as_mut().as_pin_mut().map_or(Poll::Pending, |call| call.poll(cx));
            exchange.poll_early_hints(line, cx);
            if let Poll::Ready(Ok(response)) = called {
                exchange.context.end_early_hints();
                return Poll::Ready(Ok(Answer::prepare(response, &exchange.method, cx)));
            }
            if !poll_meanwhile(line, exchange, cx)? {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// What happens while the app has nothing to say: what it has said is written. `true` if there is something for it.
fn poll_meanwhile(line: &mut Line, exchange: &mut Exchange, cx: &mut Context<'_>) -> Result<bool, End> {
    if exchange.poll_beside(line, cx)? {
        return Ok(true);
    }
    if let Poll::Ready(written) = line.poll_write(cx) {
        written?;
    }
    Ok(false)
}

/// Says the head of an answer; how its body is framed.
async fn write_head(
    line: &mut Line,
    mut response: Response<Answer>,
    exchange: &mut Exchange,
    upgrades: &UpgradeLimit,
    kept: &mut Kept,
) -> Result<(Framing, Answer), End> {
    let accepted = match exchange.upgrade.take() {
        Some(upgrade) if accepts(exchange.asks, response.status()) => {
            if upgrades.admit(&line.info) {
                exchange.context.limits().mark(Mark::Upgraded);
                Some(upgrade)
            } else {
                response = Answer::server_error(response.headers());
                None
            }
        }
        _ => None,
    };
    if !line.output.has_room(0) {
        room(line, 0, exchange).await?;
    }
    line.output.set_rate(exchange.context.limits().response_rate());
    exchange.begun = true;
    // Nothing follows a body that has failed. An answer that is about it says so; one of a handler that answers otherwise
    // is left as it is, as with Kestrel.
    line.last |= exchange.context.limits().failure() == Some(response.status());
    let (mut parts, answer) = response.into_parts();
    let fate = match accepted {
        Some(_) => Fate::Tunnel,
        None if line.last || line.info.wants_close() => Fate::Close,
        None => Fate::KeepAlive,
    };
    let (method, asks, length) = (&exchange.method, exchange.asks, answer.size_hint().exact());
    let names_server = exchange.context.limits().has(Mark::Server);
    let now = line.output.now();
    let head = AnswerHead { parts: &parts, method, asks, length, fate, names_server, now };
    let (framing, closes) = head.write(line.output.buffer());
    line.last |= closes;
    parts.headers.clear();
    kept.headers = parts.headers;
    if let Some(upgrade) = accepted {
        line.wait(At::Exchange, Line::poll_write).await?;
        exchange.complete = true;
        return Err(End::Upgraded(Box::new(upgrade)));
    }
    Ok((framing, answer))
}

/// Whether an answer to a request that asks for an upgrade grants it.
fn accepts(asks: Asks, status: StatusCode) -> bool {
    if asks.has(Asks::CONNECT) { status.is_success() } else { status == StatusCode::SWITCHING_PROTOCOLS }
}

/// Sends the body of an answer.
async fn write_body(
    line: &mut Line,
    mut answer: Answer,
    mut framing: Framing,
    exchange: &mut Exchange,
) -> Result<(), End> {
    if framing == Framing::None {
        return Ok(());
    }
    // One that says that it is at its end is not asked.
    while !answer.is_end_stream() {
        let frame = line.wait(At::Exchange, |line, cx| poll_frame(line, &mut answer, exchange, cx)).await?;
        let Some(frame) = frame else { break };
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if !framing.take(data.len()) {
                    return Err(End::Broken("the body of an answer has more octets than it said".into()));
                }
                write_data(line, data, &framing, exchange).await?;
            }
            Err(frame) => {
                if let (Framing::Chunked(allowed), Ok(trailers)) = (&framing, frame.into_trailers()) {
                    last_chunk(line.output.buffer(), allowed, Some(&trailers));
                    return Ok(());
                }
            }
        }
    }
    match framing {
        Framing::Chunked(allowed) => last_chunk(line.output.buffer(), &allowed, None),
        Framing::Length(1..) => {
            return Err(End::Broken("the body of an answer has less octets than it said".into()));
        }
        Framing::None | Framing::Length(0) | Framing::Close => {}
    }
    Ok(())
}

fn poll_frame(
    line: &mut Line,
    answer: &mut Answer,
    exchange: &mut Exchange,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, End>> {
    loop {
        if let Poll::Ready(frame) = Pin::new(&mut *answer).poll_frame(cx) {
            return Poll::Ready(frame.transpose().map_err(|error| End::Broken(error.into())));
        }
        if !poll_meanwhile(line, exchange, cx)? {
            return Poll::Pending;
        }
    }
}

/// Gathers a small piece; a large one goes out with what was gathered before it.
async fn write_data(
    line: &mut Line,
    mut data: Bytes,
    framing: &Framing,
    exchange: &mut Exchange,
) -> Result<(), End> {
    let chunked = matches!(framing, Framing::Chunked(_));
    let gathers = line.output.gathers(data.len());
    if gathers && !line.output.has_room(data.len()) {
        room(line, data.len(), exchange).await?;
    }
    if chunked {
        chunk_size(line.output.buffer(), data.len());
    }
    if gathers {
        line.output.buffer().extend_from_slice(&data);
    } else {
        line.wait(At::Exchange, |line, cx| {
            let written = line.poll_write_piece(&mut data, cx);
            if written.is_pending() {
                exchange.poll_beside(line, cx)?;
            }
            written
        })
        .await?;
    }
    if chunked {
        line.output.buffer().extend_from_slice(b"\r\n");
    }
    Ok(())
}

/// Waits until so many octets may be gathered.
async fn room(line: &mut Line, octets: usize, exchange: &mut Exchange) -> Result<(), End> {
    line.wait(At::Exchange, |line, cx| {
        if let Poll::Ready(written) = line.poll_write(cx) {
            written?;
        }
        if line.output.has_room(octets) {
            return Poll::Ready(Ok(()));
        }
        exchange.poll_beside(line, cx)?;
        Poll::Pending
    })
    .await
}

/// The stream is the app's, until it lets go of it or somebody wants it to be cut.
async fn tunnel(line: Line, upgrade: Box<Upgrade>) {
    let info = line.info.clone();
    let (io, read) = line.into_stream();
    let mut tunnel = pin!(upgrade.run(BoxIo::new(Rewind::new(io, read))));
    poll_fn(|cx| {
        info.set_driver(cx.waker());
        if info.wants_abort() { Poll::Ready(()) } else { tunnel.as_mut().poll(cx) }
    })
    .await;
}

/// The last words of a connection.
async fn finish(line: &mut Line, end: End) {
    match end {
        End::Close => {}
        End::Refused(rejection) => {
            events::bad_request(&line.info, &rejection, rejection.status().as_u16());
            let answer = rejection.answer(line.rules.server_line);
            line.output.buffer().extend_from_slice(&answer);
            line.unread = true;
        }
        End::Broken(error) => events::connection_failed(&line.info, &error),
        End::Failed(error) => return events::connection_failed(&line.info, &error),
        End::Asleep | End::Gone | End::Aborted | End::Http2 | End::Upgraded(_) => return,
    }
    // Whatever it is, there is nobody to tell.
    let _ = line.close().await;
}
