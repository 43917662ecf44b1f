//! The gate: what stands between a connection's stream and hyper, and reads along.
//!
//! ```text
//!              +------------- Gate --------------+
//!  stream ---> | head -> body -> head -> ...     | ---> hyper   only whole heads that are good
//!         <--- | gathered output                 | <---
//!              +---------------------------------+
//! ```
//!
//! hyper reads into its own buffer through [`Gate::poll_read`]; what arrives is looked at where it
//! lies. A head that is not whole yet is held back. A bad one is never shown: hyper sees the end of
//! the stream, finishes the answers before it and shuts down, and [`Gate::poll_shutdown`] then
//! writes the refusal. What follows a request for an upgrade waits for the answer.
//!
//! The gate does no waiting of its own: the [driver](super::driver) asks it what it waits for and
//! keeps the one timer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use super::framing::BodyFraming;
use super::head::{BodyLength, EmptyLines, Head, HeadParser};
use super::notes::RequestNotes;
use super::output::Output;
use super::preface::{Sniffed, sniff};
use super::waker::remember;
use crate::http::exchange::rejection::{Fault, Rejection};
use crate::http::rules::Rules;
use crate::transport::BoxIo;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the stream")]
pub(crate) struct Gate {
    pub(super) io: BoxIo,
    pub(super) rules: Arc<Rules>,
    pub(super) output: Output,
    phase: Phase,
    /// Counts the framing of the chunked body that is coming in, for its request.
    framing: Option<Arc<AtomicU64>>,
    /// Octets that hyper has not been given: of a head that is not whole, or read ahead.
    held: BytesMut,
    /// How many octets at the front of `held` have been looked at and may pass.
    passed: usize,
    /// The stream has ended; what is in `held` still counts.
    pub(super) eof: bool,
    /// It has ended without the word that TLS has for it: the client is gone, or somebody cut it.
    pub(super) truncated: bool,
    /// Before the next request.
    empty_lines: EmptyLines,
    /// What hyper does not carry over, for each request that it was given and has not served yet.
    requests: VecDeque<RequestNotes>,
    /// hyper wants to read, and there was nothing.
    pub(super) reader_waits: bool,
    rejection: Option<Rejection>,
    /// The refusal that was answered, for the log.
    refused: Option<Rejection>,
    /// Whoever reads has been shown the end; before that, an answer may still be the last one.
    end_shown: bool,
    /// The next head that is asked for is the end: the server is closing the connection.
    pub(super) last_request: bool,
    tunnel_wakers: [Option<Waker>; 2],
    /// How many requests have been passed on.
    passed_requests: usize,
    /// Nobody drives: hyper is set up by somebody else, and a flush must be a flush.
    standalone: bool,
}

enum Phase {
    /// Between requests, or inside the head of one.
    Head(HeadParser),
    Body(BodyFraming),
    /// The request asks for an upgrade; what follows waits for the answer.
    Undecided,
    /// Upgraded: everything passes.
    Tunnel,
    /// The body is broken; the next read says how, once.
    Broken(Fault),
    /// Nothing more passes.
    Ended,
}

/// What the driver finds when there is no hyper to read.
pub(super) enum Arrival {
    /// A head is whole and good: time for hyper.
    Request,
    /// The HTTP/2 preface.
    Http2,
    /// The client has nothing more to say, or what it said was refused.
    End,
}

/// How much is read at a time when hyper does not read into its own buffer: on the stack, so that
/// a connection that says nothing costs no memory.
const CHUNK: usize = 4 * 1024;

impl Gate {
    pub(crate) fn new(io: BoxIo, rules: Arc<Rules>) -> Self {
        let output = Output::new(&rules);
        Self {
            io,
            rules,
            output,
            phase: Phase::Head(HeadParser::default()),
            framing: None,
            held: BytesMut::new(),
            passed: 0,
            eof: false,
            truncated: false,
            empty_lines: EmptyLines::default(),
            requests: VecDeque::new(),
            reader_waits: false,
            rejection: None,
            refused: None,
            end_shown: false,
            last_request: false,
            tunnel_wakers: [None, None],
            passed_requests: 0,
            standalone: false,
        }
    }

    /// For a stream that is read and written without a driver.
    pub(super) fn standalone(io: BoxIo, rules: Arc<Rules>) -> Self {
        let mut gate = Self::new(io, rules);
        gate.standalone = true;
        gate.output.set_direct();
        gate
    }

    /// Reads for hyper.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_read_inner(cx, buf);
        self.reader_waits = result.is_pending();
        result
    }

    fn poll_read_inner(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match if self.standalone { self.sniff() } else { Sniffed::Http1 } {
                Sniffed::Http1 => self.look_at_held(),
                Sniffed::Http2 => {
                    self.phase = Phase::Tunnel;
                    continue;
                }
                Sniffed::TooShort => {}
            }
            if self.passed > 0 {
                let n = self.passed.min(buf.remaining());
                buf.put_slice(&self.held[..n]);
                self.held.advance(n);
                self.passed -= n;
                return Poll::Ready(Ok(()));
            }
            match &mut self.phase {
                Phase::Ended => {
                    self.end_shown = true;
                    return Poll::Ready(Ok(()));
                }
                Phase::Broken(fault) => {
                    let error = io::Error::from(*fault);
                    self.phase = Phase::Ended;
                    return Poll::Ready(Err(error));
                }
                Phase::Undecided => return Poll::Pending,
                Phase::Tunnel => {
                    remember(&mut self.tunnel_wakers[0], cx);
                    return Pin::new(&mut self.io).poll_read(cx, buf);
                }
                Phase::Head(_) if self.last_request => {
                    self.phase = Phase::Ended;
                    continue;
                }
                Phase::Head(_) | Phase::Body(_) if self.eof => {
                    self.end_of_stream();
                    continue;
                }
                Phase::Head(_) | Phase::Body(_) => {}
            }
            if !self.held.is_empty() || self.standalone && self.is_first_request() {
                // The rest of a head; it belongs behind what is held of it.
                ready!(self.poll_read_ahead(cx))?;
                continue;
            }
            let start = buf.filled().len();
            ready!(self.poll_read_io(cx, buf))?;
            if buf.filled().len() == start {
                self.eof = true;
                continue;
            }
            let passed = self.look_at(&mut buf.filled_mut()[start..]);
            self.held.extend_from_slice(&buf.filled()[start + passed..]);
            buf.set_filled(start + passed);
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Waits for a request when there is no hyper: on a fresh connection, or on one that slept.
    pub(super) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        loop {
            match self.sniff() {
                Sniffed::Http2 => return Poll::Ready(Ok(Arrival::Http2)),
                Sniffed::TooShort => {}
                Sniffed::Http1 => self.look_at_held(),
            }
            if self.passed > 0 {
                return Poll::Ready(Ok(Arrival::Request));
            }
            if self.eof && !matches!(self.phase, Phase::Ended) {
                self.end_of_stream();
            }
            if matches!(self.phase, Phase::Ended) {
                self.end_shown = true;
                return Poll::Ready(Ok(Arrival::End));
            }
            ready!(self.poll_read_ahead(cx))?;
        }
    }

    /// Which version of HTTP the connection begins with.
    fn sniff(&mut self) -> Sniffed {
        let first = matches!(self.phase, Phase::Head(_)) && self.is_first_request() && self.passed == 0;
        // Inside TLS a client has ALPN to ask for HTTP/2: its preface gets a 505, as Kestrel's.
        if !first || self.held.is_empty() || self.rules.secure {
            return Sniffed::Http1;
        }
        sniff(&self.held, self.eof, &self.rules).unwrap_or_else(|rejection| {
            self.reject(rejection);
            Sniffed::TooShort
        })
    }

    /// While a handler runs and hyper does not read: sees the client go.
    ///
    /// Ready when the stream has ended. What comes meanwhile is kept, up to a bound.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.eof {
            if matches!(self.phase, Phase::Tunnel) || self.held.len() >= self.rules.read_ahead {
                return Poll::Pending;
            }
            ready!(self.poll_read_ahead(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and throws away, so that the client can read our last words before the socket closes.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.eof {
            self.held.clear();
            if ready!(self.poll_read_ahead(cx)).is_err() {
                break;
            }
        }
        Poll::Ready(())
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); CHUNK];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(self.poll_read_io(cx, &mut buf))?;
        self.eof = buf.filled().is_empty();
        self.held.extend_from_slice(buf.filled());
        Poll::Ready(Ok(()))
    }

    /// An end without TLS's word for it is an end: HTTP/1 knows by itself what is missing.
    fn poll_read_io(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.io).poll_read(cx, buf)) {
            Err(error) if self.rules.secure && error.kind() == io::ErrorKind::UnexpectedEof => {
                self.truncated = true;
                Poll::Ready(Ok(()))
            }
            result => Poll::Ready(result),
        }
    }

    /// Looks at what is held; afterwards `passed` says how much of it may pass.
    fn look_at_held(&mut self) {
        if self.passed > 0 || self.held.is_empty() || matches!(self.phase, Phase::Tunnel | Phase::Ended) {
            if matches!(self.phase, Phase::Tunnel) {
                self.passed = self.held.len();
            }
            return;
        }
        if matches!(self.phase, Phase::Head(_)) {
            // A head that has begun does not begin with an empty line.
            match self.empty_lines.advance(&self.held, &self.rules.head) {
                Ok(octets) => self.held.advance(octets),
                Err(rejection) => return self.reject(rejection),
            }
        }
        let mut held = std::mem::take(&mut self.held);
        self.passed = self.look_at(&mut held);
        self.held = held;
    }

    /// Follows the framing through `buf`; says how many octets may pass.
    fn look_at(&mut self, buf: &mut [u8]) -> usize {
        let mut at = 0;
        while at < buf.len() {
            match &mut self.phase {
                Phase::Head(parser) => {
                    if matches!(buf[at], b'\r' | b'\n') {
                        break; // not to be shown to hyper, which does not take every kind of them
                    }
                    match parser.advance(&buf[at..], &self.rules.head) {
                        Ok(Some(head)) => {
                            let end = at + head.len;
                            let more = end < buf.len();
                            self.begin(&head, &mut buf[at..end], more);
                            at = end;
                        }
                        Ok(None) => break,
                        Err(rejection) => {
                            self.reject(rejection);
                            break;
                        }
                    }
                }
                Phase::Body(framing) => match framing.advance(&buf[at..], &self.rules.head) {
                    Ok(step) => {
                        at += step.octets;
                        if let Some(counter) = &self.framing {
                            counter.store(framing.framing_octets(), Relaxed);
                        }
                        if step.done {
                            self.phase = Phase::Head(HeadParser::default());
                        }
                    }
                    Err((octets, rejection)) => {
                        at += octets;
                        self.refused = Some(rejection);
                        self.phase = Phase::Broken(Fault::Rejected(rejection));
                    }
                },
                Phase::Tunnel => return buf.len(),
                Phase::Undecided | Phase::Broken(_) | Phase::Ended => break,
            }
        }
        at
    }

    /// A head is good: remembers what hyper will not tell, and gets ready for what follows.
    fn begin(&mut self, head: &Head, octets: &mut [u8], more: bool) {
        let notes = if self.standalone {
            RequestNotes::new(head, octets)
        } else {
            RequestNotes::hidden_from_hyper(head, octets, more)
        };
        self.framing.clone_from(&notes.framing);
        let upgrade = notes.asks_upgrade();
        self.requests.push_back(notes);
        self.passed_requests += 1;
        self.empty_lines = EmptyLines::default();
        self.phase = match head.body {
            BodyLength::None if upgrade => Phase::Undecided,
            BodyLength::None => Phase::Head(HeadParser::default()),
            BodyLength::Length(_) | BodyLength::Chunked => Phase::Body(BodyFraming::new(head)),
        };
    }

    /// Refuses the request that is coming in. hyper is not shown any more of this connection.
    fn reject(&mut self, rejection: Rejection) {
        self.rejection = Some(rejection);
        self.phase = Phase::Ended;
    }

    /// The client has had its time for a head; nobody else is answered on this connection.
    pub(super) fn time_out(&mut self) {
        self.reject(Rejection::RequestHeadersTimeout);
        self.end_shown = true;
    }

    /// The client has ended its side of the stream.
    fn end_of_stream(&mut self) {
        match &self.phase {
            Phase::Body(_) => self.phase = Phase::Broken(Fault::Incomplete),
            Phase::Head(parser) if !self.held.is_empty() => self.reject(parser.cut_off()),
            _ => self.phase = Phase::Ended,
        }
    }

    /// The answer to a request that asked for an upgrade is known.
    pub(super) fn decide_upgrade(&mut self, upgraded: bool) {
        if matches!(self.phase, Phase::Undecided) {
            self.phase = if upgraded { Phase::Tunnel } else { Phase::Head(HeadParser::default()) };
            self.output.set_tunnel(upgraded);
        }
    }

    /// Cuts a tunnel: both its directions fail from now on.
    pub(super) fn cut(&mut self) {
        self.phase = Phase::Ended;
        self.held.clear();
        self.passed = 0;
        self.output.refuse();
        self.io = BoxIo::new(tokio::io::empty());
        for waker in self.tunnel_wakers.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note_tunnel_writer(cx);
        self.output.poll_write(&mut self.io, cx, bufs)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note_tunnel_writer(cx);
        self.output.poll_flush(&mut self.io, cx)
    }

    /// Writes what is gathered, then the refusal if there is one, then the end of the stream.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note_tunnel_writer(cx);
        if let Some(rejection) = self.rejection.take().filter(|_| self.end_shown) {
            self.refused = Some(rejection);
            self.output.append(&rejection.answer(self.rules.server_line));
        }
        self.output.poll_shutdown(&mut self.io, cx)
    }

    fn note_tunnel_writer(&mut self, cx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Tunnel) {
            remember(&mut self.tunnel_wakers[1], cx);
        }
    }

    /// What was refused on this connection, asked for once.
    pub(super) fn take_refused(&mut self) -> Option<Rejection> {
        self.refused.take()
    }

    pub(super) fn next_request(&mut self) -> RequestNotes {
        self.requests.pop_front().unwrap_or_default()
    }

    /// The client is let go of, with nothing said.
    pub(super) fn end(&mut self) {
        self.phase = Phase::Ended;
    }

    pub(super) fn passed_requests(&self) -> usize {
        self.passed_requests
    }

    /// Whether the client has ended its side in a way that says that it does not wait any more. The
    /// end of TLS (`close_notify`) only says that it will not send more.
    pub(super) fn client_is_gone(&self) -> bool {
        self.truncated || self.eof && !self.rules.secure
    }

    /// The stream has ended inside the body of the request in work: what is held is not the rest of
    /// it.
    pub(super) fn is_cut_inside_body(&self) -> bool {
        match &self.phase {
            Phase::Body(framing) if self.eof && self.requests.is_empty() => {
                let rest = framing.clone().advance(&self.held[self.passed..], &self.rules.head);
                rest.is_ok_and(|rest| !rest.done)
            }
            _ => false,
        }
    }

    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.phase, Phase::Tunnel)
    }

    /// All of the request that runs, and of those before it, has been received.
    pub(super) fn is_at_head(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && self.requests.is_empty() && self.passed == 0
    }

    /// Part of a head is here.
    pub(super) fn has_partial_head(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && !self.held.is_empty()
    }

    /// The client may still be sending what nobody will read.
    pub(super) fn has_unread(&self) -> bool {
        !self.eof && (!self.held.is_empty() || !self.is_at_head())
    }

    /// What has been read, for a driver of another protocol.
    pub(super) fn into_stream(self) -> (BoxIo, BytesMut) {
        (self.io, self.held)
    }

    /// Gives memory back that only a busy connection needs.
    pub(super) fn shrink(&mut self) {
        self.output.shrink();
        self.requests = VecDeque::new();
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
    }

    fn is_first_request(&self) -> bool {
        self.requests.is_empty() && !self.output.has_written() && !self.empty_lines.has_some()
    }
}
