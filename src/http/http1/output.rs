//! The way out: what is said in one turn is gathered and leaves in one write, and the client must take it at a rate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::http::rules::Rules;
use crate::limits::{MinDataRate, ResponseClock};
use crate::transport::BoxIo;

/// What goes to the client.
pub(super) struct Output {
    gathered: Vec<u8>,
    /// How much of `gathered` has been written.
    written: usize,
    /// How much of `gathered` the clock knows of.
    counted: usize,
    /// More than this is not gathered: whoever has more waits.
    limit: usize,
    needs_flush: bool,
    clock: ResponseClock,
    /// When something was first counted in this turn of the connection: a look at the clock costs as much as a small
    /// answer takes to write.
    now: Option<Instant>,
}

/// A piece of this size gains nothing from being gathered, and costs a copy.
const LARGE: usize = 16 * 1024;

impl Output {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut output = Self {
            gathered: Vec::new(),
            written: 0,
            counted: 0,
            limit: rules.max_gathered,
            needs_flush: false,
            clock: ResponseClock::default(),
            now: None,
        };
        output.set_rate(rules.min_response_data_rate);
        output
    }

    /// The rate at which what is said from now on must be taken.
    pub(super) fn set_rate(&mut self, rate: Option<MinDataRate>) {
        self.clock.set_rate(rate);
    }

    /// Where what is said is added.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.gathered
    }

    /// Whether a piece of this size is to be gathered, now or when there is room.
    pub(super) fn gathers(&self, size: usize) -> bool {
        size < LARGE && size <= self.limit
    }

    pub(super) fn has_room(&self, size: usize) -> bool {
        self.is_empty() || self.waiting() + size <= self.limit
    }

    /// Nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// The client has something to take. How long that lasts is a matter of its rate alone.
    pub(super) fn is_busy(&self) -> bool {
        self.clock.is_stalled() || !self.is_empty()
    }

    /// When the connection is to be cut, if nothing changes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clock.due()
    }

    /// The time of this turn.
    pub(super) fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(Instant::now)
    }

    /// The time of this turn, if somebody looked at the clock in it; the turn is over.
    pub(super) fn take_now(&mut self) -> Option<Instant> {
        self.now.take()
    }

    /// Gives memory back that only a busy connection needs.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            self.gathered = Vec::new();
        }
    }

    /// Writes what is gathered, and flushes what lies below.
    pub(super) fn poll_write(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.count_gathered();
        while !self.is_empty() {
            match Pin::new(&mut *io).poll_write(cx, &self.gathered[self.written..]) {
                Poll::Ready(n) => {
                    let n = n?;
                    self.advance(n, n)?;
                }
                Poll::Pending => return self.stall(),
            }
        }
        self.poll_flush(io, cx)
    }

    /// Writes what is gathered and behind it a large piece, without a copy.
    pub(super) fn poll_write_piece(
        &mut self,
        io: &mut BoxIo,
        cx: &mut Context<'_>,
        piece: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        self.count_gathered();
        while !piece.is_empty() {
            let before = self.waiting();
            let both = [IoSlice::new(&self.gathered[self.written..]), IoSlice::new(piece)];
            let both = if before == 0 { &both[1..] } else { &both };
            let Poll::Ready(n) = Pin::new(&mut *io).poll_write_vectored(cx, both) else {
                return self.stall();
            };
            let n = n?;
            self.advance(n.min(before), n)?;
            piece.advance(n.saturating_sub(before));
            self.count(n.saturating_sub(before));
        }
        self.poll_flush(io, cx)
    }

    /// Writes what is gathered, then the end of the stream.
    pub(super) fn poll_shutdown(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(io, cx))?;
        Pin::new(io).poll_shutdown(cx)
    }

    fn poll_flush(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.needs_flush {
            let Poll::Ready(flushed) = Pin::new(io).poll_flush(cx) else { return self.stall() };
            flushed?;
            self.needs_flush = false;
        }
        self.clock.taken();
        Poll::Ready(Ok(()))
    }

    fn waiting(&self) -> usize {
        self.gathered.len() - self.written
    }

    /// So much of what is gathered has been written, by a write that took `all` octets.
    fn advance(&mut self, octets: usize, all: usize) -> io::Result<()> {
        if all == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += octets;
        self.needs_flush = true;
        if self.is_empty() {
            self.gathered.clear();
            (self.written, self.counted) = (0, 0);
        }
        Ok(())
    }

    fn stall(&mut self) -> Poll<io::Result<()>> {
        if !self.clock.is_stalled() {
            self.clock.stall(Instant::now());
        }
        Poll::Pending
    }

    fn count_gathered(&mut self) {
        let octets = self.gathered.len() - self.counted;
        self.counted = self.gathered.len();
        self.count(octets);
    }

    fn count(&mut self, octets: usize) {
        if octets > 0 && self.clock.runs() {
            let now = self.now();
            self.clock.wrote(octets as u64, now);
        }
    }
}
