//! The body of a request, read from its stream, and the 100 that some clients wait for.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::http::exchange::decoded::check_trailers;
use crate::http::rules::HeadRules;
use crate::request::{BodyError, RequestContext};
use crate::text::content_length;
use crate::text::lines::joined;

/// What a handler did not read of a body. While the answer is not complete it is neither read nor let go of: h2 would
/// take all that comes, and the client could send without end.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Option<h2::RecvStream>>>);

/// What a handler reads.
pub(super) struct StreamBody {
    /// `None` once it is dropped.
    stream: Option<h2::RecvStream>,
    unread: Unread,
    context: RequestContext,
    /// The octets that are to come, where the client has said so.
    length: Option<u64>,
    data_ended: bool,
    /// Until the first octet has come.
    expectation: Option<Arc<Expectation>>,
    rules: HeadRules,
    /// How many fields came before the body.
    fields: usize,
}

impl StreamBody {
    pub(super) fn new(
        stream: h2::RecvStream,
        headers: &HeaderMap,
        context: RequestContext,
        expectation: Option<Arc<Expectation>>,
        rules: HeadRules,
    ) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|length| content_length(length.as_bytes()));
        let (stream, unread) = (Some(stream), Unread::default());
        Self { stream, unread, context, length, data_ended: false, expectation, rules, fields: headers.len() }
    }

    /// Where the stream is after the handler has let go of the body.
    pub(super) fn unread(&self) -> Unread {
        self.unread.clone()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        if !self.data_ended {
            let data = stream.poll_data(cx);
            if data.is_pending()
                && let Some(expectation) = &self.expectation
            {
                expectation.tell();
            }
            match ready!(data) {
                Some(Ok(data)) => {
                    self.expectation = None;
                    // What the client sent is ours: its window is free again. The stream may have ended meanwhile.
                    let _ = stream.flow_control().release_capacity(data.len());
                    self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(fault(&error)))),
                None => self.data_ended = true,
            }
        }
        Poll::Ready(match ready!(stream.poll_trailers(cx)) {
            Ok(None) => None,
            Ok(Some(trailers)) => Some(match check_trailers(&trailers, self.fields, &self.rules) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(rejection) => Err(BodyError::rejected(rejection.status())),
            }),
            Err(error) => Some(Err(fault(&error))),
        })
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(self.poll(cx));
        if let Some(Err(error)) = &frame
            && let Some(status) = error.status()
        {
            self.context.limits().fail(status);
            self.context.body_refused(*error);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(h2::RecvStream::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        *self.unread.0.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
    }
}

/// A client that resets its stream or goes gets no answer; one that sends another body than it said would get a 400,
/// were its stream not reset.
fn fault(error: &h2::Error) -> BodyError {
    if error.is_library() && !error.is_go_away() {
        BodyError::rejected(StatusCode::BAD_REQUEST)
    } else {
        BodyError::incomplete()
    }
}

/// An `Expect: 100-continue`: the client gets a 100 when its body is asked for before any of it has come.
#[derive(Default)]
pub(super) struct Expectation {
    wanted: AtomicBool,
    stream: Mutex<Option<Waker>>,
}

impl Expectation {
    pub(super) fn of(headers: &HeaderMap) -> Option<Arc<Self>> {
        let expected = joined(headers, &EXPECT).eq_ignore_ascii_case(b"100-continue");
        expected.then(Arc::default)
    }

    fn tell(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel)
            && let Some(waker) = self.lock().take()
        {
            waker.wake();
        }
    }

    /// Ready when the body has been asked for.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut stream = self.lock();
        if self.wanted.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        *stream = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
