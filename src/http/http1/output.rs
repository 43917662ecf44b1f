//! The way out: what is said in one turn is gathered and leaves in one write, and the client must take it at a rate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::http::rules::Rules;
use crate::limits::MinDataRate;
use crate::transport::BoxIo;

/// What goes to the client.
pub(super) struct Output {
    gathered: Vec<u8>,
    /// How much of `gathered` has been written.
    written: usize,
    /// How much of `gathered` the deadline knows of.
    counted: usize,
    /// More than this is not gathered: whoever has more waits.
    limit: usize,
    needs_flush: bool,
    rate: Option<MinDataRate>,
    /// How long the client may take at this rate for what a stream holds.
    time_for_held: Duration,
    /// When something was first counted in this turn of the connection: a look at the clock costs as much as a small
    /// answer takes to write.
    now: Option<Instant>,
    /// When the client must have taken everything written so far.
    deadline: Option<Instant>,
    /// The stream does not take what there is.
    stalled: bool,
}

/// What a stream may hold of an answer without the client having taken it.
const HELD_BY_A_STREAM: u64 = 64 * 1024;

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
            rate: None,
            time_for_held: Duration::ZERO,
            now: None,
            deadline: None,
            stalled: false,
        };
        output.set_rate(rules.min_response_data_rate);
        output
    }

    /// The rate at which what is said from now on must be taken.
    pub(super) fn set_rate(&mut self, rate: Option<MinDataRate>) {
        if rate == self.rate {
            return; // as nearly always
        }
        self.rate = rate;
        match rate {
            Some(rate) => self.time_for_held = rate.time_for(HELD_BY_A_STREAM),
            None => self.deadline = None,
        }
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
        self.stalled || !self.is_empty()
    }

    /// When the connection is to be cut, if nothing changes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.stalled)
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
        self.stalled = false;
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
        if let (false, Some(rate)) = (self.stalled, self.rate) {
            let grace = Instant::now() + rate.grace_period();
            self.deadline = Some(self.deadline.map_or(grace, |earlier| grace.max(earlier)));
        }
        self.stalled = true;
        Poll::Pending
    }

    fn count_gathered(&mut self) {
        let octets = self.gathered.len() - self.counted;
        self.counted = self.gathered.len();
        self.count(octets);
    }

    /// Each write earns its own time, at least the grace, and adds to what earlier ones have left, as in Kestrel's
    /// `BytesWrittenToBuffer`, but for two things. No more time is kept than what a stream holds may take: there a
    /// client that took 10 MB at once may then hold the connection for half a day. And what goes into a stream that is
    /// stalled earns no grace: it comes in the small pieces that the client takes.
    fn count(&mut self, octets: usize) {
        let Some(rate) = self.rate.filter(|_| octets > 0) else { return };
        let time = rate.time_for(octets as u64);
        let now = *self.now.get_or_insert_with(Instant::now);
        let alone = now + time.max(rate.grace_period());
        let most = alone.max(now + self.time_for_held);
        self.deadline = Some(match self.deadline {
            None => alone,
            Some(earlier) if self.stalled => earlier + time,
            Some(earlier) => alone.max(earlier + time).min(most),
        });
    }
}
