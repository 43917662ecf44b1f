//! A body that fails when it is taken too slowly.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::error::BoxError;
use crate::limits::ResponseClock;
use crate::request::RequestContext;

/// A larger frame is given away in pieces: what the server has taken it has to hold, and cannot be timed.
const PIECE: usize = 16 * 1024;

pub(super) struct TimedBody {
    inner: Body,
    context: RequestContext,
    /// What is left of a large frame.
    rest: Bytes,
    clock: ResponseClock,
}

impl TimedBody {
    pub(super) fn new(inner: Body, context: RequestContext) -> Self {
        Self { inner, context, rest: Bytes::new(), clock: ResponseClock::default() }
    }

    /// Whether the last piece was taken too late. It is taken when the next is asked for.
    fn is_late(&mut self) -> bool {
        let late = self.clock.due().is_some_and(|due| due < Instant::now());
        self.clock.taken();
        late
    }

    fn give(&mut self, octets: u64) {
        self.clock.set_rate(self.context.limits().response_rate());
        if self.clock.runs() {
            let now = Instant::now();
            self.clock.wrote(octets, now);
            self.clock.stall(now);
        }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.is_late() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the client takes the answer too slowly");
            return Poll::Ready(Some(Err(error.into())));
        }
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end.map(|frame| frame.map_err(axum::Error::into_inner))),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        this.give(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint() + SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use crate::limits::MinDataRate;
    use crate::request::{MinResponseDataRateLayer, RequestLimits};

    /// Asks for a piece each `seconds`; whether the whole answer came.
    async fn take(path: &str, seconds: u64) -> bool {
        let large = async || vec![b'x'; 12 * super::PIECE];
        let off = async |limits: RequestLimits| {
            limits.set_min_response_data_rate(None).unwrap();
            vec![b'x'; 12 * super::PIECE]
        };
        let fast = MinDataRate::new(1e9, Duration::from_secs(2)).unwrap();
        let app = Router::new()
            .route("/", get(large))
            .route("/off", get(off))
            .route("/fast", get(large).layer(MinResponseDataRateLayer::new(fast)))
            .layer(MinResponseDataRateLayer::default());
        let request = Request::get(path).body(Body::empty()).unwrap();
        let mut body = app.oneshot(request).await.unwrap().into_body();
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        true
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_taken_below_the_rate_fails() {
        assert!(take("/", 68).await, "16,384 / 68 = 241");
        assert!(!take("/", 69).await, "16,384 / 69 = 237");
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_and_a_handler_set_the_rate() {
        assert!(!take("/fast", 3).await);
        assert!(take("/off", 1000).await);
    }
}
