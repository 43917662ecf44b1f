//! The way in: one buffer a connection, and none while it is idle.

use std::io;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::transport::BoxIo;

/// What has come from the client and was not looked at yet.
pub(super) struct Input {
    buffer: BytesMut,
    /// It comes out of TLS.
    secure: bool,
    /// How much is read at a time: more, the more there is.
    step: usize,
    end: ClientEnd,
}

/// Whether, and how, the client has ended its side of the stream. What is in the buffer still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientEnd {
    None,
    Said,
    /// With an error, or inside TLS without the word that TLS has for it: the client is gone, or somebody cut it.
    Cut,
}

/// Enough for a few heads.
const LEAST: usize = 8 * 1024;

/// More at a time gains nothing, and from 128 KiB on an allocation is a system call.
const MOST: usize = 64 * 1024;

/// With less room than this a read is not worth its call.
const WORTH: usize = 1024;

/// How much is read at a time of a connection that may say nothing: on the stack, so that it costs no memory.
const FIRST: usize = 4 * 1024;

impl Input {
    pub(super) fn new(secure: bool) -> Self {
        Self { buffer: BytesMut::new(), secure, step: LEAST, end: ClientEnd::None }
    }

    pub(super) fn end(&self) -> ClientEnd {
        self.end
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end != ClientEnd::None
    }

    /// Nothing more comes, and nobody said so.
    pub(super) fn cut(&mut self) {
        self.end = ClientEnd::Cut;
    }

    /// Gives memory back that only a busy connection needs.
    pub(super) fn release(&mut self) {
        if self.buffer.is_empty() {
            (self.buffer, self.step) = (BytesMut::new(), LEAST);
        }
    }

    pub(super) fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Ready when something has come, up to `most` octets, or the end.
    pub(super) fn poll_read(
        &mut self,
        io: &mut BoxIo,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        let room = self.buffer.capacity() - self.buffer.len();
        if room < WORTH.min(most) {
            self.buffer.reserve(self.step.min(most.max(WORTH)));
        }
        let room = (self.buffer.capacity() - self.buffer.len()).min(most);
        let mut space = (&mut self.buffer).limit(room);
        match ready!(pin!(io.read_buf(&mut space)).poll(cx)) {
            Ok(n) => {
                if n == room {
                    self.step = (self.step * 2).min(MOST);
                }
                self.note(n);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(self.note_error(error)),
        }
    }

    /// The same for a connection that has said nothing.
    pub(super) fn poll_first(&mut self, io: &mut BoxIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); FIRST];
        let mut read = ReadBuf::uninit(&mut space);
        if let Err(error) = ready!(Pin::new(io).poll_read(cx, &mut read)) {
            return Poll::Ready(self.note_error(error));
        }
        if !read.filled().is_empty() {
            self.buffer.reserve(LEAST);
            self.buffer.extend_from_slice(read.filled());
        }
        self.note(read.filled().len());
        Poll::Ready(Ok(()))
    }

    fn note(&mut self, octets: usize) {
        if octets == 0 {
            self.end = ClientEnd::Said;
        }
    }

    /// An end without TLS's word for it is an end: HTTP/1 knows by itself what is missing.
    fn note_error(&mut self, error: io::Error) -> io::Result<()> {
        if !self.secure || error.kind() != io::ErrorKind::UnexpectedEof {
            return Err(error);
        }
        self.cut();
        Ok(())
    }
}

impl Deref for Input {
    type Target = BytesMut;

    fn deref(&self) -> &BytesMut {
        &self.buffer
    }
}

impl DerefMut for Input {
    fn deref_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }
}
