//! A body that fails when it is too large, and whose small frames are joined.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{Full, Limited};

use crate::error::BoxError;
use crate::request::{BodyError, Mark, RequestContext};

type Item = Option<Result<Frame<Bytes>, BoxError>>;

/// A frame of this size passes as it is: to join it would cost more than it saves.
const LARGE: usize = 4 * 1024;

/// More than this is not joined.
const MOST: usize = 16 * 1024;

pub(super) struct LimitedBody {
    /// `None` once its end was seen.
    inner: Option<Body>,
    context: RequestContext,
    declared: Option<u64>,
    /// Octets of data so far.
    octets: u64,
    joined: BytesMut,
    /// What came behind `joined` and cannot be joined to it.
    next: Option<Item>,
    /// The task was asked to come again while `joined` is held.
    asked_again: bool,
}

impl LimitedBody {
    pub(super) fn new(inner: Body, context: RequestContext) -> Self {
        Self {
            declared: inner.size_hint().exact(),
            inner: Some(inner),
            context,
            octets: 0,
            joined: BytesMut::new(),
            next: None,
            asked_again: false,
        }
    }

    /// The next frame as it came, or the failure.
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        let state = self.context.limits();
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        if !state.has(Mark::Read) {
            if self.declared.is_some_and(|declared| state.is_over(declared)) {
                return Poll::Ready(Some(Err(self.fail())));
            }
            state.mark(Mark::Read);
        }
        let frame = match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.octets += data.len() as u64;
        }
        let broken = matches!(frame, Some(Err(_)));
        if !broken && self.context.limits().is_over(self.octets) {
            return Poll::Ready(Some(Err(self.fail())));
        }
        if broken || frame.is_none() {
            self.inner = None;
        }
        // A layer more must not be an `axum::Error` more: axum looks for what it knows two deep.
        Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::into_inner)))
    }

    fn fail(&mut self) -> BoxError {
        self.context.limits().fail(StatusCode::PAYLOAD_TOO_LARGE);
        self.context.body_refused(BodyError::too_large());
        self.inner = None;
        too_large()
    }

    fn is_at_end(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Item> {
        let this = &mut *self;
        if let Some(next) = this.next.take() {
            return Poll::Ready(next);
        }
        loop {
            let Poll::Ready(frame) = this.poll_inner(cx) else {
                if this.joined.is_empty() {
                    return Poll::Pending;
                }
                if !this.asked_again {
                    // A body may give one chunk for each poll of its task, however many are there.
                    this.asked_again = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                break;
            };
            this.asked_again = false;
            if !is_small(&frame) || this.joined.is_empty() && this.is_at_end() {
                if this.joined.is_empty() {
                    return Poll::Ready(frame);
                }
                this.next = Some(frame);
                break;
            }
            if let Some(Ok(Ok(data))) = frame.map(|frame| frame.map(Frame::into_data)) {
                this.joined.extend_from_slice(&data);
            }
            if this.joined.len() + LARGE > MOST || this.is_at_end() {
                break;
            }
        }
        this.asked_again = false;
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.joined).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        // The last of the framing is counted when the end is seen.
        let at_end =
            if self.context.limits().counts_framing() { self.inner.is_none() } else { self.is_at_end() };
        at_end && self.joined.is_empty() && self.next.as_ref().is_none_or(Option::is_none)
    }

    fn size_hint(&self) -> SizeHint {
        let next = match &self.next {
            Some(Some(Ok(frame))) => frame.data_ref().map_or(0, Bytes::len),
            _ => 0,
        };
        let held = (self.joined.len() + next) as u64;
        let inner = self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint);
        inner + SizeHint::with_exact(held)
    }
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        // Nobody read it: what is too large is not waited for either.
        let least = self.declared.unwrap_or(0).max(self.octets);
        if self.inner.is_some() && self.context.limits().is_over(least) {
            self.context.limits().mark(Mark::Abandoned);
            self.context.body_refused(BodyError::too_large());
        }
    }
}

/// Whether `frame` is worth to be joined to what follows.
fn is_small(frame: &Item) -> bool {
    let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
    data.is_some_and(|data| data.len() < LARGE)
}

/// The error that axum's extractors know; only http-body-util can make one.
fn too_large() -> BoxError {
    let mut limited = Limited::new(Full::new(Bytes::from_static(b"x")), 0);
    match Pin::new(&mut limited).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Err(error))) => error,
        _ => "length limit exceeded".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::Router;
    use axum::extract::Request;
    use axum::response::Response;
    use axum::routing::post;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use crate::request::{LimitError, MaxRequestBodySizeLayer, RequestLimits};

    use super::*;

    async fn send(app: &Router, path: &str, body: Body) -> Response {
        app.clone().oneshot(Request::post(path).body(body).unwrap()).await.unwrap()
    }

    /// A body with no length, of these frames.
    struct Frames<I>(I);

    impl<I: Iterator<Item = Bytes> + Unpin> http_body::Body for Frames<I> {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.next().map(|data| Ok(Frame::data(data))))
        }
    }

    fn frames(frames: impl IntoIterator<Item = Bytes, IntoIter: Send + Unpin + 'static>) -> Body {
        Body::new(Frames(frames.into_iter()))
    }

    fn app(layer: MaxRequestBodySizeLayer) -> Router {
        let length = async |body: Bytes| body.len().to_string();
        let raised = async |limits: RequestLimits, body: Body| {
            limits.set_max_request_body_size(100)?;
            assert_eq!(limits.max_request_body_size(), Some(100));
            let length = body.collect().await.unwrap().to_bytes().len().to_string();
            assert!(limits.set_max_request_body_size(None).unwrap_err().is_too_late());
            Ok::<_, LimitError>(length)
        };
        Router::new()
            .route("/", post(length))
            .route("/ignored", post(async || "ignored"))
            .route("/raised", post(raised))
            .route("/route", post(length).layer(MaxRequestBodySizeLayer::new(20)))
            .route("/lifted", post(length).layer(MaxRequestBodySizeLayer::new(None)))
            .layer(layer)
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_413_by_axum_alone() {
        let app = app(MaxRequestBodySizeLayer::new(10));
        let ten = || frames([Bytes::from_static(b"0123456789")]);
        assert_eq!(send(&app, "/", ten()).await.status(), 200);
        for body in ["0123456789a".into(), frames(["01234", "56789", "a"].map(Bytes::from))] {
            let response = send(&app, "/", body).await;
            assert_eq!(response.status(), 413);
            assert_eq!(response.headers()["connection"], "close");
        }
    }

    #[tokio::test]
    async fn a_body_that_nobody_reads_disturbs_nobody() {
        let response = send(&app(MaxRequestBodySizeLayer::new(10)), "/ignored", "0123456789a".into()).await;
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("connection"));
    }

    #[tokio::test]
    async fn a_route_and_a_handler_set_the_limit_of_the_layer_outside() {
        let app = app(MaxRequestBodySizeLayer::new(10));
        assert_eq!(send(&app, "/route", vec![b'x'; 20].into()).await.status(), 200);
        assert_eq!(send(&app, "/route", vec![b'x'; 21].into()).await.status(), 413);
        assert_eq!(send(&app, "/lifted", vec![b'x'; 1000].into()).await.status(), 200);
        assert_eq!(send(&app, "/raised", vec![b'x'; 100].into()).await.status(), 200);
    }

    #[tokio::test]
    async fn without_any_layer_the_extractor_says_which_is_missing() {
        let app = Router::new().route("/", post(async |_: RequestLimits| "unreachable"));
        let response = send(&app, "/", Body::empty()).await;
        assert_eq!(response.status(), 500);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&text).contains("MaxRequestBodySizeLayer"));
    }

    #[tokio::test]
    async fn a_million_frames_of_one_octet_come_as_few() {
        let counts = async |body: Body| {
            let (mut count, mut octets, mut body) = (0, 0, body);
            while let Some(frame) = body.frame().await {
                count += 1;
                octets += frame.unwrap().into_data().unwrap().len();
            }
            format!("{octets} {}", count < 200)
        };
        let app = Router::new().route("/", post(counts)).layer(MaxRequestBodySizeLayer::new(1_000_000));
        let body = frames((0..1_000_000).map(|_| Bytes::from_static(b"x")));
        let text = send(&app, "/", body).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "1000000 true");
    }

    #[tokio::test]
    async fn large_frames_and_the_order_are_kept() {
        let large = Bytes::from(vec![b'L'; LARGE]);
        let sent =
            [Bytes::from_static(b"a"), Bytes::from_static(b"b"), large.clone(), Bytes::from_static(b"c")];
        let order = async |mut body: Body| {
            let mut lengths = Vec::new();
            while let Some(frame) = body.frame().await {
                lengths.push(frame.unwrap().into_data().unwrap().len());
            }
            format!("{lengths:?}")
        };
        let app = Router::new().route("/", post(order)).layer(MaxRequestBodySizeLayer::new(None));
        let text = send(&app, "/", frames(sent)).await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, format!("[2, {LARGE}, 1]"));
    }
}
