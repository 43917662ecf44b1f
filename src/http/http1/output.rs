//! The way out: small writes are gathered, and the client must take them at a rate.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::time::Instant;

use crate::http::rules::Rules;
use crate::limits::{MinDataRate, ResponseClock};
use crate::transport::BoxIo;

/// What goes to the client.
///
/// hyper flushes after each answer. Here a flush succeeds at once, and the driver writes what has
/// been gathered after each poll of hyper: one write for all answers of one poll. In a tunnel, and
/// where nobody drives, a flush is a flush.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the stream")]
pub(super) struct Output {
    gathered: Vec<u8>,
    /// How much of `gathered` has been written.
    written: usize,
    mode: Mode,
    /// More than this is not gathered: the writer waits.
    limit: usize,
    /// hyper was told to wait.
    pub(super) writer_waits: bool,
    needs_flush: bool,
    /// The end of the stream has been written, by hyper or by the driver.
    shut: bool,
    ever_written: bool,
    /// The next octets are the head of an answer to an HTTP/1.0 client, which hyper begins with
    /// `HTTP/1.0` and Kestrel with `HTTP/1.1`.
    patch_version: bool,
    clock: ResponseClock,
    /// Octets that the clock does not know of yet.
    uncounted: u64,
    /// When something was first counted in this turn of the connection: a look at the clock costs
    /// as much as a small answer takes to write.
    pub(super) now: Option<Instant>,
    /// The stream does not take what is written past what is gathered.
    direct_stalled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A driver calls [`Output::poll_write_gathered`].
    Gather,
    /// A flush goes through.
    Direct,
    Refused,
}

/// An answer of this size gains nothing from being gathered, and costs a copy.
const LARGE: usize = 16 * 1024;

impl Output {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut output = Self {
            gathered: Vec::new(),
            written: 0,
            mode: Mode::Gather,
            limit: rules.max_gathered,
            writer_waits: false,
            needs_flush: false,
            shut: false,
            ever_written: false,
            patch_version: false,
            clock: ResponseClock::default(),
            uncounted: 0,
            now: None,
            direct_stalled: false,
        };
        output.set_rate(rules.min_response_data_rate);
        output
    }

    /// Nobody calls [`poll_write_gathered`](Self::poll_write_gathered): what is written goes out.
    pub(super) fn set_direct(&mut self) {
        self.mode = Mode::Direct;
    }

    pub(super) fn set_tunnel(&mut self, on: bool) {
        if on && self.mode != Mode::Refused {
            self.mode = Mode::Direct;
            self.set_rate(None);
        }
    }

    /// The rate at which what is written from now on must be taken.
    pub(super) fn set_rate(&mut self, rate: Option<MinDataRate>) {
        self.clock.set_rate(rate);
    }

    /// Nothing more is written: the client is gone, and what it did not wait for is not for it.
    pub(super) fn refuse(&mut self) {
        self.mode = Mode::Refused;
    }

    pub(super) fn append(&mut self, data: &[u8]) {
        self.gathered.extend_from_slice(data);
        self.uncounted += data.len() as u64;
        self.ever_written = true;
    }

    pub(super) fn poll_write(
        &mut self,
        io: &mut BoxIo,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.mode == Mode::Refused {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if std::mem::take(&mut self.patch_version)
            && self.is_empty()
            && bufs.first().is_some_and(|head| head.starts_with(b"HTTP/1.0"))
        {
            self.append(b"HTTP/1.1");
            return Poll::Ready(Ok(8));
        }
        let size = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let direct = size >= LARGE || self.mode == Mode::Direct || self.limit == 0;
        self.writer_waits = true;
        if direct || self.waiting() >= self.limit {
            ready!(self.poll_write_gathered(io, cx))?;
        }
        let n = if direct {
            // The stream wakes the writer; room for gathering does not help it.
            self.writer_waits = false;
            let Poll::Ready(n) = Pin::new(io).poll_write_vectored(cx, bufs) else {
                self.stall();
                self.direct_stalled = true;
                return Poll::Pending;
            };
            let n = n?;
            self.direct_stalled = n < size; // the writer comes back with the rest
            self.uncounted += n as u64;
            self.count();
            self.needs_flush = true;
            self.ever_written = true;
            n
        } else {
            let before = self.gathered.len();
            for buf in bufs {
                let room = self.limit - self.waiting();
                self.append(&buf[..buf.len().min(room)]);
            }
            self.direct_stalled = false; // the writer has come back with less
            self.gathered.len() - before
        };
        self.writer_waits = false;
        Poll::Ready(Ok(n))
    }

    pub(super) fn poll_flush(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.mode {
            Mode::Gather => Poll::Ready(Ok(())),
            Mode::Direct => self.poll_write_gathered(io, cx),
            Mode::Refused => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.mode == Mode::Refused {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.shut {
            return Poll::Ready(Ok(()));
        }
        // Nobody writes any more.
        self.writer_waits = false;
        self.direct_stalled = false;
        ready!(self.poll_write_gathered(io, cx))?;
        ready!(Pin::new(io).poll_shutdown(cx))?;
        self.shut = true;
        Poll::Ready(Ok(()))
    }

    /// Writes what is gathered, and flushes what lies below.
    pub(super) fn poll_write_gathered(
        &mut self,
        io: &mut BoxIo,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.uncounted > 0 {
            self.count();
        }
        while self.written < self.gathered.len() {
            match Pin::new(&mut *io).poll_write(cx, &self.gathered[self.written..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(n) => self.written += n?,
                Poll::Pending => {
                    self.stall();
                    return Poll::Pending;
                }
            }
            self.needs_flush = true;
        }
        self.gathered.clear();
        self.written = 0;
        if self.needs_flush {
            let Poll::Ready(flushed) = Pin::new(io).poll_flush(cx) else {
                self.stall();
                return Poll::Pending;
            };
            flushed?;
            self.needs_flush = false;
        }
        if !self.direct_stalled {
            self.clock.taken();
        }
        Poll::Ready(Ok(()))
    }

    /// The head of an answer to an HTTP/1.0 client comes next.
    pub(super) fn patch_next_version(&mut self) {
        self.patch_version = self.is_empty();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// Part of an answer has not been taken, or hyper has more of it.
    pub(super) fn is_busy(&self) -> bool {
        !self.is_empty() || self.writer_waits || self.direct_stalled
    }

    pub(super) fn has_written(&self) -> bool {
        self.ever_written
    }

    /// When the connection is to be cut, if nothing changes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clock.due()
    }

    pub(super) fn shrink(&mut self) {
        if self.is_empty() {
            self.gathered = Vec::new();
        }
    }

    fn waiting(&self) -> usize {
        self.gathered.len() - self.written
    }

    fn stall(&mut self) {
        if !self.clock.is_stalled() {
            self.clock.stall(Instant::now());
        }
    }

    fn count(&mut self) {
        let octets = std::mem::take(&mut self.uncounted);
        if self.clock.runs() {
            let now = match self.mode {
                Mode::Gather => *self.now.get_or_insert_with(Instant::now),
                Mode::Direct | Mode::Refused => Instant::now(), // nobody says when a turn ends
            };
            self.clock.wrote(octets, now);
        }
    }
}
