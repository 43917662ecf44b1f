//! The line to one client: its stream, what has come and what is to go, its time, and how it is waited on.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;

use super::clock::{Clock, Due, Waits};
use super::head::{EmptyLines, Head, HeadParser};
use super::input::Input;
use super::output::Output;
use super::preface::{Sniffed, sniff};
use crate::connection::ConnectionInfo;
use crate::error::BoxError;
use crate::http::exchange::rejection::Rejection;
use crate::http::rules::Rules;
use crate::http::upgrade::Upgrade;
use crate::request::{Mark, RequestContext};
use crate::telemetry::events;
use crate::transport::BoxIo;

/// What a connection keeps from its first octet to its last.
pub(super) struct Line {
    io: BoxIo,
    pub(super) info: ConnectionInfo,
    pub(super) rules: Arc<Rules>,
    pub(super) input: Input,
    pub(super) output: Output,
    empty_lines: EmptyLines,
    /// Requests so far.
    pub(super) number: u64,
    /// No request is answered behind the one in work.
    pub(super) last: bool,
    /// The client may still be sending what nobody will read.
    pub(super) unread: bool,
    /// How much of that is thrown away, so that the client can read our last words.
    discards: u64,
    /// The last request, if it had a body: who has that may find it too large yet.
    pub(super) before: Option<RequestContext>,
    clock: Clock,
    waker: Waker,
}

/// What a client may have sent before it can know of our last words.
const ON_ITS_WAY: u64 = 1024 * 1024;

/// Where a connection waits, as far as its code's own place does not say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// Between requests, with no memory to give back.
    Asleep,
    /// Between requests, or inside a head.
    Head,
    Exchange,
    /// Inside a body whose answer is complete.
    Rest,
    End,
}

/// Why a connection does not go on.
pub(super) enum End {
    /// It is idle, and goes on when something comes.
    Asleep,
    /// It is over, in peace.
    Close,
    Refused(Rejection),
    /// The answer breaks off.
    Broken(BoxError),
    /// There is nobody to say anything to.
    Gone,
    Failed(io::Error),
    /// It is to be reset.
    Aborted,
    /// It begins with the preface of HTTP/2.
    Http2,
    Upgraded(Box<Upgrade>),
}

impl From<Rejection> for End {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Line {
    pub(super) fn new(io: BoxIo, info: ConnectionInfo, rules: Arc<Rules>) -> Self {
        Self {
            io,
            info,
            input: Input::new(rules.secure),
            output: Output::new(&rules),
            empty_lines: EmptyLines::default(),
            number: 0,
            last: false,
            unread: false,
            discards: rules.max_discarded.max(ON_ITS_WAY),
            rules,
            before: None,
            clock: Clock::new(),
            waker: Waker::noop().clone(),
        }
    }

    /// Whom to wake for the connection.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits for something to come on an idle connection, with no buffer.
    pub(super) async fn sleep(&mut self) -> Result<(), End> {
        self.input.release();
        self.output.release();
        self.wait(At::Asleep, |line, cx| {
            while line.input.is_empty() {
                line.end_if_idle()?;
                ready!(line.input.poll_first(&mut line.io, cx))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// The next head that is whole and good.
    pub(super) async fn next_head(&mut self, parser: &mut HeadParser) -> Result<Head, End> {
        parser.reset();
        self.wait(At::Head, |line, cx| {
            loop {
                if !line.input.is_empty()
                    && let Some(head) = line.look(parser)?
                {
                    line.empty_lines = EmptyLines::default();
                    return Poll::Ready(Ok(head));
                }
                if line.input.is_empty() {
                    line.end_if_idle()?;
                } else if line.input.has_ended() {
                    return Poll::Ready(Err(parser.cut_off().into()));
                }
                // What is gathered goes out before more is read.
                if let Poll::Ready(written) = line.poll_write(cx) {
                    written?;
                }
                ready!(line.poll_read(usize::MAX, cx))?;
            }
        })
        .await
    }

    fn look(&mut self, parser: &mut HeadParser) -> Result<Option<Head>, End> {
        if parser.is_fresh() {
            if self.number == 0 && !self.empty_lines.has_some() && !self.rules.secure {
                match sniff(&self.input, self.input.has_ended(), &self.rules)? {
                    Sniffed::Http1 => {}
                    Sniffed::Http2 => return Err(End::Http2),
                    Sniffed::TooShort => return Ok(None),
                }
            }
            let octets = self.empty_lines.advance(&self.input, &self.rules.head)?;
            bytes::Buf::advance(&mut *self.input, octets);
            if self.input.is_empty() {
                return Ok(None);
            }
        }
        Ok(parser.advance(&self.input, &self.rules.head)?)
    }

    /// Nothing is in work and nothing has begun to come: ends where the client or somebody here wants it.
    fn end_if_idle(&self) -> Result<(), End> {
        if self.input.has_ended() || self.is_over() { Err(End::Close) } else { Ok(()) }
    }

    /// Whether no request is to be answered any more.
    pub(super) fn is_over(&self) -> bool {
        let abandoned = |request: &RequestContext| request.limits().has(Mark::Abandoned);
        self.last || self.info.wants_close() || self.before.as_ref().is_some_and(abandoned)
    }

    /// No request is read any more, though the client may go on sending.
    pub(super) fn give_up(&mut self) -> Poll<Result<(), End>> {
        self.last = true;
        self.unread = true;
        Poll::Ready(Ok(()))
    }

    /// The client has sent more than a body may have: of the rest no more is read than is on its way.
    pub(super) fn hang_up(&mut self) -> Poll<Result<(), End>> {
        self.discards = ON_ITS_WAY;
        self.give_up()
    }

    /// Waits, wherever a connection waits: for what `poll` gives, for as long as it may, and while nobody wants the
    /// connection to be aborted.
    pub(super) async fn wait<T>(
        &mut self,
        at: At,
        mut poll: impl FnMut(&mut Self, &mut Context<'_>) -> Poll<Result<T, End>>,
    ) -> Result<T, End> {
        poll_fn(|cx| {
            if !self.waker.will_wake(cx.waker()) {
                self.waker.clone_from(cx.waker());
                self.info.set_driver(cx.waker());
            }
            if self.info.wants_abort() {
                return Poll::Ready(Err(End::Aborted));
            }
            let polled = poll(self, cx);
            if self.info.wants_abort() {
                return Poll::Ready(Err(End::Aborted)); // and nothing of what was gathered is written
            }
            if polled.is_ready() {
                return polled;
            }
            self.poll_time(at, cx).map(Err)
        })
        .await
    }

    fn poll_time(&mut self, at: At, cx: &mut Context<'_>) -> Poll<End> {
        let waits = match at {
            _ if self.output.is_busy() => Waits::ForAnswer,
            At::Head if !self.input.is_empty() && self.rules.http1 => Waits::ForRestOfHead(self.number),
            At::Head | At::Asleep => Waits::ForRequest(self.number),
            At::Exchange => Waits::ForAnswer,
            At::Rest => Waits::ForUnreadBody(self.number),
            At::End => Waits::ForEndOfStream,
        };
        let (now, slow) = (self.output.take_now(), self.output.deadline());
        let awake = at == At::Head && self.input.is_empty();
        match ready!(self.clock.poll(waits, now, slow, awake, &self.rules, cx)) {
            Due::Sleep => Poll::Ready(End::Asleep),
            Due::TooSlow => {
                events::response_too_slow(&self.info);
                self.abort()
            }
            Due::Late => match waits {
                Waits::ForRestOfHead(_) => Poll::Ready(End::Refused(Rejection::RequestHeadersTimeout)),
                Waits::ForUnreadBody(_) => self.abort(),
                Waits::ForEndOfStream => Poll::Ready(End::Gone),
                Waits::ForRequest(_) | Waits::ForAnswer => Poll::Ready(End::Close),
            },
        }
    }

    fn abort(&self) -> Poll<End> {
        self.info.abort();
        Poll::Ready(End::Aborted)
    }

    pub(super) fn poll_read(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.input.poll_read(&mut self.io, cx, most).map_err(End::from)
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.output.poll_write(&mut self.io, cx).map_err(End::from)
    }

    pub(super) fn poll_write_piece(
        &mut self,
        piece: &mut Bytes,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        self.output.poll_write_piece(&mut self.io, cx, piece).map_err(End::from)
    }

    /// Says what there is to say at the end, and closes in peace.
    pub(super) async fn close(&mut self) -> Result<(), End> {
        self.wait(At::End, |line, cx| line.output.poll_shutdown(&mut line.io, cx).map_err(End::from)).await?;
        if !self.unread && self.input.is_empty() {
            return Ok(());
        }
        // A socket that closes with octets unread resets, and the client loses our last words.
        self.wait(At::End, |line, cx| {
            while !line.input.has_ended() && line.discards > 0 {
                line.discards = line.discards.saturating_sub(line.input.len() as u64);
                line.input.clear();
                ready!(line.poll_read(usize::MAX, cx))?;
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// The stream, and what has been read of it.
    pub(super) fn into_stream(mut self) -> (BoxIo, bytes::BytesMut) {
        (self.io, self.input.take())
    }
}
