//! The stream of a connection as h2 reads and writes it: what comes is followed, what goes is gathered until the turn
//! ends.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::follower::{Fault, Follower};
use crate::transport::Rewind;

/// Shared by h2, which owns the stream, and the connection's task; only that task uses it.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<WireState>>);

pub(super) struct WireState {
    io: Rewind,
    gathered: Vec<u8>,
    /// How much of it has been written.
    written: usize,
    pub(super) follower: Follower,
    /// Nothing behind it is read.
    fault: Option<Fault>,
    most: usize,
}

/// A piece so large is written by itself: to copy it would cost more than a call saves.
const LARGE: usize = 16 * 1024;

impl Wire {
    pub(super) fn new(io: Rewind, most: usize) -> Self {
        Self(Arc::new(Mutex::new(WireState {
            io,
            gathered: Vec::new(),
            written: 0,
            follower: Follower::new(Instant::now()),
            fault: None,
            most,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, WireState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WireState {
    /// What the client did wrong, once.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// Has this written in place of what has been gathered, of which nothing has been written.
    pub(super) fn say_instead(&mut self, octets: &[u8]) {
        self.gathered = octets.to_vec();
    }

    /// Writes what has been gathered.
    pub(super) fn poll_write_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.gathered.len() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &self.gathered[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        self.gathered.clear();
        self.written = 0;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Says that nothing more comes, and listens until the client has gone too: a socket that closes with octets unread
    /// resets, and the client loses our last words.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_gathered(cx))?;
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        let mut octets = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut octets);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut unread))?;
            if unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// An idle connection holds no buffer.
    pub(super) fn release(&mut self) {
        if self.gathered.is_empty() {
            self.gathered = Vec::new();
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        if size >= LARGE {
            ready!(self.poll_write_gathered(cx))?;
            return Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        }
        if self.gathered.len() - self.written + size > self.most {
            ready!(self.poll_write_gathered(cx))?;
        }
        for piece in pieces {
            self.gathered.extend_from_slice(piece);
        }
        Poll::Ready(Ok(size))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.lock();
        if state.fault.is_some() {
            return Poll::Pending; // the connection's task ends it
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut state.io).poll_read(cx, buf))?;
        if let Err((good, fault)) = state.follower.follow(&buf.filled()[before..], Instant::now()) {
            state.fault = Some(fault);
            buf.set_filled(before + good);
            if good == 0 {
                return Poll::Pending; // nothing read would be the end of the stream
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The connection's task flushes.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.lock();
        ready!(state.poll_write_gathered(cx))?;
        Pin::new(&mut state.io).poll_shutdown(cx)
    }
}
