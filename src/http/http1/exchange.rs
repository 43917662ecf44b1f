//! One request in work.

use std::io;
use std::task::{Context, Poll, ready};

use http::Method;

use super::answer::early_hints;
use super::body::Wish;
use super::head::Asks;
use super::incoming::{Decoded, Incoming};
use super::input;
use super::line::{End, Line};
use crate::http::upgrade::Upgrade;
use crate::request::{BodyError, Mark, RequestContext};
use crate::telemetry::events;

/// A request whose answer is not complete. Let go of before, it tells the handler's helpers.
pub(super) struct Exchange {
    pub(super) context: RequestContext,
    pub(super) method: Method,
    pub(super) asks: Asks,
    pub(super) rest: Rest,
    pub(super) upgrade: Option<Upgrade>,
    /// The head of its answer is on its way.
    pub(super) begun: bool,
    pub(super) complete: bool,
}

/// What is still to come of a request's body.
pub(super) enum Rest {
    None,
    Coming(Incoming),
    /// The client has ended its side inside the body.
    Cut,
    /// Its framing is broken: where the next request begins is not known.
    Bad,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.complete {
            self.context.abort();
        }
    }
}

impl Exchange {
    /// Says the hints of the handler; HTTP/1.0 has none.
    pub(super) fn poll_early_hints(&self, line: &mut Line, cx: &Context<'_>) {
        while let Poll::Ready(headers) = self.context.poll_early_hints(cx) {
            if !self.asks.has(Asks::HTTP10) {
                early_hints(line.output.buffer(), &headers);
            }
        }
    }

    /// What happens beside the handler: its body is read as it wants it, and a client that goes is noticed. `true` if
    /// there is something for the handler.
    pub(super) fn poll_beside(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            let wants = self.wants_data();
            if wants && !line.input.is_empty() {
                self.advance(line, cx);
                if self.wants_data() {
                    continue; // there was only framing
                }
                return Ok(true);
            }
            if line.input.has_ended() {
                self.note_end(line, wants)?;
                if wants {
                    self.rest = Rest::Cut;
                }
                return Ok(wants);
            }
            if wants && self.expects() {
                line.output.buffer().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                if let Poll::Ready(written) = line.poll_write(cx) {
                    written?;
                }
            }
            // A body may wait for its reader; of what is behind it no more is wanted than shows that the client has gone.
            let is_body = matches!(self.rest, Rest::Coming(_));
            let most = if is_body { line.rules.max_held } else { line.rules.read_ahead };
            let room = most.saturating_sub(line.input.len());
            if room == 0 {
                return Ok(false);
            }
            match line.poll_read(room, cx) {
                // Who reads the body sees it break off.
                Poll::Ready(Err(End::Failed(error))) if wants => {
                    events::connection_failed(&line.info, &error);
                    line.input.cut();
                }
                Poll::Ready(read) => read?,
                Poll::Pending => return Ok(false),
            }
        }
    }

    /// The answer is complete: ready when nothing of the body is left on the connection. What its reader wants it gets,
    /// and the rest is thrown away.
    pub(super) fn poll_rest(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            let incoming = match &self.rest {
                Rest::None => return Poll::Ready(Ok(())),
                Rest::Coming(incoming) => incoming,
                Rest::Cut | Rest::Bad => return line.give_up(),
            };
            let is_read = incoming.wish() != Wish::Nothing;
            if self.is_abandoned() || line.last && !is_read {
                return line.give_up();
            }
            if !is_read && incoming.is_over(&self.context) {
                self.context.body_refused(BodyError::too_large());
                return line.hang_up();
            }
            if is_read && incoming.held() >= line.rules.max_held {
                return Poll::Pending; // the reader says when it has taken some
            }
            if !line.input.is_empty() {
                self.advance(line, cx);
            } else if line.input.has_ended() {
                self.rest = Rest::Cut;
            } else {
                ready!(line.poll_read(line.rules.max_held, cx))?;
            }
        }
    }

    /// Who goes inside a body gets no answer, if none has begun; as Kestrel.
    pub(super) fn is_cut(&self, line: &Line) -> bool {
        match &self.rest {
            _ if self.begun || !line.input.has_ended() => false,
            Rest::None | Rest::Bad => false,
            Rest::Coming(incoming) => !incoming.is_whole_with(&line.input, &line.rules.head),
            Rest::Cut => true,
        }
    }

    /// What has become of the body.
    pub(super) fn note(&mut self, decoded: Decoded, line: &Line) {
        match decoded {
            Decoded::Part => {}
            Decoded::Whole => self.rest = Rest::None,
            Decoded::Bad(rejection) => {
                events::bad_request(&line.info, &rejection, rejection.status().as_u16());
                self.rest = Rest::Bad;
            }
        }
    }

    fn advance(&mut self, line: &mut Line, cx: &Context<'_>) {
        if let Rest::Coming(incoming) = &mut self.rest {
            let decoded = incoming.advance(&mut line.input, &line.rules.head, cx);
            self.note(decoded, line);
        }
    }

    /// The rest of the body is not to be waited for.
    fn is_abandoned(&self) -> bool {
        self.context.limits().has(Mark::Abandoned)
    }

    /// The handler is told of a client that goes, and dropped where there is nobody to answer.
    fn note_end(&self, line: &Line, reads: bool) -> Result<(), End> {
        match line.input.end() {
            input::ClientEnd::Cut if !reads => return Err(End::Failed(io::ErrorKind::UnexpectedEof.into())),
            // The end of TLS (`close_notify`) only says that the client will not send more.
            input::ClientEnd::Said if !line.rules.secure => self.context.abort(),
            input::ClientEnd::Cut | input::ClientEnd::Said | input::ClientEnd::None => {}
        }
        Ok(())
    }

    fn wants_data(&self) -> bool {
        matches!(&self.rest, Rest::Coming(incoming) if incoming.wish() == Wish::Data)
    }

    /// Whether the client is to be told to send its body; once.
    fn expects(&mut self) -> bool {
        match &mut self.rest {
            Rest::Coming(incoming) => !self.begun && incoming.take_expectation(),
            Rest::None | Rest::Cut | Rest::Bad => false,
        }
    }
}
