//! The body that is coming in on a connection: decoded as it comes, small chunks joined, and given to its reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};

use axum::body::Body;
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::body::{BodyPipe, RequestBody, Wish};
use super::field::Field;
use super::framing::BodyFraming;
use super::head::{Asks, BodyLength, Head};
use crate::http::exchange::rejection::Rejection;
use crate::http::rules::HeadRules;
use crate::request::{BodyError, BodyWithTrailers, RequestContext};

/// A body of which more is to come.
pub(super) struct Incoming {
    decoder: Decoder,
    pipe: Arc<BodyPipe>,
    /// The client waits for a 100, which it gets when the body is first asked for.
    expects: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.pipe.cut();
    }
}

struct Decoder {
    framing: BodyFraming,
    /// Octets of data so far.
    octets: u64,
    /// Counts what is framing, for the largest body.
    counter: Option<Arc<AtomicU64>>,
    trailers: Vec<u8>,
}

/// What a body is joined to at the most. A chunk that would make it longer is left for the next piece.
const JOINED: usize = 16 * 1024;

/// What became of octets of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// There is more to come.
    Part,
    Whole,
    Bad(Rejection),
}

/// The body of a request, and what is still to come of it. What is in `input` is decoded at once.
pub(super) fn begin(
    head: &Head,
    input: &mut BytesMut,
    rules: &HeadRules,
    counter: Option<Arc<AtomicU64>>,
    context: &RequestContext,
    waker: &Waker,
) -> (Body, Option<Incoming>, Decoded) {
    let mut decoder = Decoder { framing: BodyFraming::new(head), octets: 0, counter, trailers: Vec::new() };
    let length = decoder.framing.missing();
    let expects = head.asks.has(Asks::CONTINUE) && !head.asks.has(Asks::HTTP10) && input.is_empty();
    let (data, outcome) = decoder.decode(input, rules);
    let watched = |body| Body::new(BodyWithTrailers::new(body, context.clone()));
    if outcome == Decoded::Whole && decoder.trailers.is_empty() {
        return (watched(RequestBody::whole(data, length, context.clone())), None, outcome);
    }
    let pipe = BodyPipe::new(waker.clone());
    let mut incoming = Incoming { decoder, pipe: Arc::clone(&pipe), expects };
    incoming.give(data, outcome, &Context::from_waker(waker));
    let incoming = Some(incoming).filter(|_| outcome == Decoded::Part);
    (watched(RequestBody::coming(pipe, length, context.clone())), incoming, outcome)
}

impl Incoming {
    pub(super) fn wish(&self) -> Wish {
        self.pipe.wish()
    }

    /// Whether more has come than the body may have.
    pub(super) fn is_over(&self, context: &RequestContext) -> bool {
        context.limits().is_over(self.decoder.octets)
    }

    /// Octets that the reader has not taken.
    pub(super) fn held(&self) -> usize {
        self.pipe.held()
    }

    /// Whether the client waits for a 100; said once.
    pub(super) fn take_expectation(&mut self) -> bool {
        std::mem::take(&mut self.expects)
    }

    /// Decodes what has come and gives it to the reader, if there is one.
    pub(super) fn advance(&mut self, input: &mut BytesMut, rules: &HeadRules, cx: &Context<'_>) -> Decoded {
        let (data, decoded) = self.decoder.decode(input, rules);
        self.expects = false;
        self.give(data, decoded, cx);
        decoded
    }

    /// Whether the rest of the body is in `input`.
    pub(super) fn is_whole_with(&self, input: &[u8], rules: &HeadRules) -> bool {
        self.decoder.framing.clone().advance(input, rules).is_ok_and(|rest| rest.done)
    }

    fn give(&mut self, data: Bytes, decoded: Decoded, cx: &Context<'_>) {
        self.pipe.give(data, cx);
        match decoded {
            Decoded::Part => {}
            Decoded::Whole => {
                let trailers = &self.decoder.trailers;
                self.pipe.end((!trailers.is_empty()).then(|| parse_trailers(trailers)), cx);
            }
            Decoded::Bad(rejection) => self.pipe.fail(BodyError::rejected(rejection.status()), cx),
        }
    }
}

impl Decoder {
    /// Takes data off `input`, up to where there is none. What stands between two small pieces of it is closed up, so
    /// that they are one.
    fn decode(&mut self, input: &mut BytesMut, rules: &HeadRules) -> (Bytes, Decoded) {
        let (mut data, mut read) = (0, 0);
        let mut bad = None;
        while read < input.len() && !self.framing.is_done() && data < JOINED {
            match self.framing.next(&input[read..], rules, &mut self.trailers) {
                Ok(part) if data == 0 => {
                    input.advance(read + part.framing);
                    (data, read) = (part.data, part.data);
                }
                Ok(part) => {
                    read += part.framing;
                    input.copy_within(read..read + part.data, data);
                    (data, read) = (data + part.data, read + part.data);
                }
                Err((_, rejection)) => {
                    bad = Some(rejection);
                    break;
                }
            }
        }
        self.octets += data as u64;
        let piece = input.split_to(data).freeze();
        input.advance(read - data);
        if let Some(counter) = &self.counter {
            counter.store(self.framing.framing_octets(), Relaxed);
        }
        let decoded = match bad {
            Some(rejection) => Decoded::Bad(rejection),
            None if self.framing.is_done() => Decoded::Whole,
            None => Decoded::Part,
        };
        (piece, decoded)
    }
}

/// Of lines that are good. What frames or routes a message is no trailer (RFC 9110 section 6.5.1).
#[cold]
fn parse_trailers(octets: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for line in octets.split(|octet| *octet == b'\n') {
        let Ok(field) = Field::parse(line.strip_suffix(b"\r").unwrap_or(line)) else { continue };
        let field = (HeaderName::from_bytes(field.name), HeaderValue::from_bytes(field.value));
        if let (Ok(name), Ok(value)) = field
            && !matches!(name, CONNECTION | HOST | TRANSFER_ENCODING)
        {
            trailers.append(name, value);
        }
    }
    trailers
}

/// Octets of the framing of a body are counted where it has chunks.
pub(super) fn counter(head: &Head) -> Option<Arc<AtomicU64>> {
    matches!(head.body, BodyLength::Chunked).then(Arc::default)
}
