//! The body of a request, on its way from the connection to whoever reads it.
//!
//! One that came whole with its head is its octets. Any other has a pipe between the connection's task, which decodes,
//! and the reader, who may be in another task and may let go of it at any time.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use crate::request::{BodyError, Mark, RequestContext};

/// Between the task of a connection and the reader of a body.
pub(super) struct BodyPipe(Mutex<PipeState>);

struct PipeState {
    data: VecDeque<Bytes>,
    end: PipeEnd,
    reader: Reader,
    connection: Waker,
}

/// What comes behind the data.
enum PipeEnd {
    /// More data.
    Open,
    Trailers(HeaderMap),
    Fault(BodyError),
    Whole,
}

enum Reader {
    /// It has not asked, or has got what it asked for.
    Busy,
    Waits(Waker),
    Gone,
}

/// What the reader of a body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Something else.
    None,
    /// It waits for data.
    Data,
    /// It has let go of the body.
    Nothing,
}

impl BodyPipe {
    pub(super) fn new(connection: Waker) -> Arc<Self> {
        let state = PipeState { data: VecDeque::new(), end: PipeEnd::Open, reader: Reader::Busy, connection };
        Arc::new(Self(Mutex::new(state)))
    }

    pub(super) fn wish(&self) -> Wish {
        match &self.lock().reader {
            Reader::Busy => Wish::None,
            Reader::Waits(_) => Wish::Data,
            Reader::Gone => Wish::Nothing,
        }
    }

    /// Octets that the reader has not taken.
    pub(super) fn held(&self) -> usize {
        self.lock().data.iter().map(Bytes::len).sum()
    }

    /// Gives the reader data; wakes it if it is another task than that of `cx`.
    pub(super) fn give(&self, data: Bytes, cx: &Context<'_>) {
        let mut state = self.lock();
        if !matches!(state.reader, Reader::Gone) && !data.is_empty() {
            state.data.push_back(data);
            state.wake_reader(cx);
        }
    }

    /// The body is whole.
    pub(super) fn end(&self, trailers: Option<HeaderMap>, cx: &Context<'_>) {
        let mut state = self.lock();
        state.end = trailers.map_or(PipeEnd::Whole, PipeEnd::Trailers);
        state.wake_reader(cx);
    }

    /// Nothing more of the body comes.
    pub(super) fn fail(&self, fault: BodyError, cx: &Context<'_>) {
        let mut state = self.lock();
        state.end = PipeEnd::Fault(fault);
        state.wake_reader(cx);
    }

    /// Nobody decodes any more: what is not whole breaks off.
    pub(super) fn cut(&self) {
        let mut state = self.lock();
        if matches!(state.end, PipeEnd::Open) {
            state.end = PipeEnd::Fault(BodyError::incomplete());
            state.wake_reader(&Context::from_waker(Waker::noop()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeState {
    fn wake_reader(&mut self, cx: &Context<'_>) {
        if let Reader::Waits(waker) = &self.reader {
            if !waker.will_wake(cx.waker()) {
                waker.wake_by_ref();
            }
            self.reader = Reader::Busy;
        }
    }

    fn is_whole_and_taken(&self) -> bool {
        self.data.is_empty() && matches!(self.end, PipeEnd::Whole)
    }
}

/// A request's body as the app gets it.
pub(super) struct RequestBody {
    source: Source,
    /// Octets to come, where the client has said so.
    length: Option<u64>,
    /// It has been asked for something. Before, not even an empty one says that it is at its end, since its framing
    /// counts when it is read.
    asked: bool,
    context: RequestContext,
}

enum Source {
    /// It came with its head.
    Whole(Bytes),
    Pipe(Arc<BodyPipe>),
}

impl RequestBody {
    pub(super) fn whole(data: Bytes, length: Option<u64>, context: RequestContext) -> Self {
        Self { source: Source::Whole(data), length, asked: false, context }
    }

    pub(super) fn coming(pipe: Arc<BodyPipe>, length: Option<u64>, context: RequestContext) -> Self {
        Self { source: Source::Pipe(pipe), length, asked: false, context }
    }

    fn poll_source(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let pipe = match &mut self.source {
            Source::Whole(data) if data.is_empty() => return Poll::Ready(None),
            Source::Whole(data) => return Poll::Ready(Some(Ok(Frame::data(mem::take(data))))),
            Source::Pipe(pipe) => pipe,
        };
        let mut state = pipe.lock();
        if let Some(data) = state.data.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match mem::replace(&mut state.end, PipeEnd::Whole) {
            PipeEnd::Whole => Poll::Ready(None),
            PipeEnd::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            PipeEnd::Fault(fault) => Poll::Ready(Some(Err(fault))),
            PipeEnd::Open => {
                state.end = PipeEnd::Open;
                state.reader = Reader::Waits(cx.waker().clone());
                if !state.connection.will_wake(cx.waker()) {
                    state.connection.wake_by_ref();
                }
                Poll::Pending
            }
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.asked = true;
        let frame = self.poll_source(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
                self.length = self.length.map(|length| length.saturating_sub(octets));
            }
            Poll::Ready(Some(Err(fault))) => {
                if let Some(status) = fault.status() {
                    self.context.limits().fail(status);
                }
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.asked
            && match &self.source {
                Source::Whole(data) => data.is_empty(),
                Source::Pipe(pipe) => pipe.lock().is_whole_and_taken(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Source::Pipe(pipe) = &self.source else {
            if self.context.limits().has(Mark::Abandoned)
                && let Some(connection) = self.context.connection()
            {
                connection.wake_driver(); // it ends, if it has gone on without this
            }
            return;
        };
        let mut state = pipe.lock();
        state.reader = Reader::Gone;
        let data = mem::take(&mut state.data);
        if matches!(state.end, PipeEnd::Open) {
            state.connection.wake_by_ref();
        }
        drop(state);
        drop(data);
    }
}
