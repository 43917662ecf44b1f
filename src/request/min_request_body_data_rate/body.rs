//! A body that fails when it comes too slowly.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::error::BoxError;
use crate::limits::MinDataRate;
use crate::request::{BodyError, RequestContext};

/// The rate is missed when the time is over, not when it is just reached; timers have milliseconds.
const BEYOND: Duration = Duration::from_millis(1);

pub(super) struct TimedRequestBody {
    /// `None` once its end was seen.
    inner: Option<Body>,
    context: RequestContext,
    octets: u64,
    /// How long reads have waited, without the one that waits now.
    waited: Duration,
    since: Option<Instant>,
    /// The read has waited for more than the rest of this turn of its task.
    waits: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TimedRequestBody {
    pub(super) fn new(inner: Body, context: RequestContext) -> Self {
        Self {
            inner: Some(inner),
            context,
            octets: 0,
            waited: Duration::ZERO,
            since: None,
            waits: false,
            timer: None,
        }
    }

    /// Ready when a read has waited for too long.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let Some(rate) = self.context.limits().request_rate() else { return Poll::Pending };
        let left = patience(rate, self.octets).saturating_sub(self.waited);
        let deadline = since + left + BEYOND;
        if deadline <= now {
            return Poll::Ready(());
        }
        if !self.waits {
            // A first read nearly always comes before what is there has been decoded; whoever decodes
            // calls again at once, and so nearly no body needs a timer.
            self.waits = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

/// How long reads may have waited, once so many octets have come.
fn patience(rate: MinDataRate, octets: u64) -> Duration {
    // A year is as good as for ever, and cannot overflow a deadline.
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    rate.time_for(octets).max(rate.grace_period()).min(YEAR)
}

impl http_body::Body for TimedRequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            std::task::ready!(this.poll_too_slow(cx));
            this.context.limits().fail(StatusCode::REQUEST_TIMEOUT);
            this.context.body_refused(BodyError::too_slow());
            this.inner = None;
            return Poll::Ready(Some(Err(BodyError::too_slow().into())));
        };
        this.waits = false;
        if let Some(since) = this.since.take() {
            this.waited += since.elapsed();
        }
        match &frame {
            Some(Ok(frame)) => this.octets += frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => this.inner = None,
        }
        // A layer more must not be an `axum::Error` more: axum looks for what it knows two deep.
        Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::into_inner)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Request;
    use axum::routing::post;
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tower::ServiceExt;

    use crate::request::{BadRequestLayer, MinRequestBodyDataRateLayer, RequestLimits};

    use super::*;

    /// So that what a second brings need not be there before the second is over.
    const HEAD_START: usize = 250;

    /// Sends `octets` each second for `seconds`; the status of the answer.
    async fn drip(app: Router, path: &str, octets: usize, seconds: u32) -> u16 {
        let (mut sender, body) = Channel::<Bytes>::new(1);
        tokio::spawn(async move {
            let mut piece = HEAD_START;
            for _ in 0..=seconds {
                if sender.send_data(vec![b'x'; piece].into()).await.is_err() {
                    return;
                }
                piece = octets;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let request = Request::post(path).body(Body::new(body)).unwrap();
        app.oneshot(request).await.unwrap().status().as_u16()
    }

    fn app() -> Router {
        let read = async |body: Bytes| body.len().to_string();
        let lazy = async |mut body: Body| {
            let mut octets = 0;
            while let Some(frame) = body.frame().await {
                octets += frame.unwrap().into_data().unwrap().len();
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            octets.to_string()
        };
        let off = async |limits: RequestLimits, body: Body| {
            limits.set_min_request_body_data_rate(None).unwrap();
            body.collect().await.unwrap().to_bytes().len().to_string()
        };
        let slow = MinDataRate::new(1.0, Duration::from_secs(2)).unwrap();
        Router::new()
            .route("/", post(read))
            .route("/lazy", post(lazy))
            .route("/off", post(off))
            .route("/slow", post(read).layer(MinRequestBodyDataRateLayer::new(slow)))
            .layer(MinRequestBodyDataRateLayer::default())
            .layer(BadRequestLayer::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_below_the_rate_is_408_and_one_above_it_is_not() {
        assert_eq!(drip(app(), "/", 239, 60).await, 408);
        assert_eq!(drip(app(), "/", 241, 60).await, 200);
        assert_eq!(drip(app(), "/", 0, 4).await, 200, "the grace");
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_and_a_handler_set_the_rate() {
        assert_eq!(drip(app(), "/slow", 2, 60).await, 200);
        assert_eq!(drip(app(), "/off", 1, 1000).await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_is_free() {
        assert_eq!(drip(app(), "/lazy", 1, 20).await, 200);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_that_waits_has_a_timer_until_it_waits_for_long() {
        let context = RequestContext::default();
        context.limits().set_request_rate(Some(MinDataRate::default()));
        let (mut sender, body) = Channel::<Bytes>::new(1);
        let mut body = TimedRequestBody::new(Body::new(body), context);
        let mut read = poll_once(&mut body);
        assert!(read.is_pending() && body.timer.is_none());
        sender.send_data(Bytes::from_static(b"x")).await.unwrap();
        read = poll_once(&mut body);
        assert!(read.is_ready() && body.timer.is_none());
        assert!(poll_once(&mut body).is_pending() && body.timer.is_none());
        assert!(poll_once(&mut body).is_pending() && body.timer.is_some());
    }

    fn poll_once(body: &mut TimedRequestBody) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        http_body::Body::poll_frame(Pin::new(body), &mut Context::from_waker(std::task::Waker::noop()))
    }
}
