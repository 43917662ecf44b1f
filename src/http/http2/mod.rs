//! HTTP/2, by hyper.

mod executor;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;

use self::executor::StreamExecutor;
use super::App;
use super::exchange::Answer;
use super::exchange::Call;
use super::rules::Rules;
use crate::connection::{BoxIo, ConnectionInfo};
use crate::request::{LimitState, RequestContext, ResetWith, StreamReset, Watched};
use crate::telemetry::events;
use crate::transport::Rewind;

/// How long a client may take to let go of a connection that the server has said goodbye on
/// (GOAWAY) and on which nothing is in work.
const GOODBYE: Duration = Duration::from_secs(5);

/// Serves a connection that begins with the preface; `read` is what has been read of it.
pub(crate) async fn serve<S: App>(
    io: BoxIo,
    read: BytesMut,
    info: ConnectionInfo,
    app: S,
    rules: Arc<Rules>,
) {
    let streams = Arc::new(Streams::default());
    let service = Exchanges { app, info: info.clone(), streams: streams.clone() };
    let io = TokioIo::new(Rewind::new(io, read));
    let mut connection = pin!(builder(&rules, &info).serve_connection(io, service));
    let mut said_goodbye = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    events::connection_failed(&info, &error);
                }
                return;
            }
            () = aborted(&info) => return,
            () = streams.idle_for(if said_goodbye { Some(GOODBYE) } else { rules.keep_alive }) => {
                if said_goodbye {
                    return;
                }
            }
            () = info.close_requested(), if !said_goodbye => {}
        }
        said_goodbye = true;
        connection.as_mut().graceful_shutdown();
    }
}

fn builder(rules: &Rules, info: &ConnectionInfo) -> http2::Builder<StreamExecutor> {
    let limits = &rules.http2_limits;
    let mut builder = http2::Builder::new(StreamExecutor::new(info.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams_per_connection)
        .header_table_size(limits.header_table_size)
        .max_frame_size(limits.max_frame_size)
        .initial_connection_window_size(limits.initial_connection_window_size)
        .initial_stream_window_size(limits.initial_stream_window_size)
        .max_header_list_size(u32::try_from(rules.head.max_headers_total).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.keep_alive_ping_delay)
        .enable_connect_protocol();
    if let Some(timeout) = limits.keep_alive_ping_timeout {
        builder.keep_alive_timeout(timeout);
    }
    builder
}

/// Ready once somebody wants the connection to be aborted.
async fn aborted(info: &ConnectionInfo) {
    std::future::poll_fn(|cx| {
        info.set_driver(cx.waker());
        if info.wants_abort() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The streams in work on a connection.
#[derive(Default)]
struct Streams {
    open: AtomicUsize,
    all: AtomicU64,
    changed: Notify,
}

impl Streams {
    /// Ready when no stream has been in work for so long; never for `None`.
    async fn idle_for(&self, time: Option<Duration>) {
        let Some(time) = time else { return std::future::pending().await };
        loop {
            let changed = self.changed.notified();
            if self.open.load(Ordering::Acquire) > 0 {
                changed.await;
            } else if tokio::time::timeout(time, changed).await.is_err() {
                return;
            }
        }
    }
}

struct Exchanges<S> {
    app: S,
    info: ConnectionInfo,
    streams: Arc<Streams>,
}

impl<S: App> hyper::service::Service<Request<Incoming>> for Exchanges<S> {
    type Response = Response<AnswerBody>;
    type Error = StreamReset;
    type Future = Exchange<S>;

    fn call(&self, request: Request<Incoming>) -> Exchange<S> {
        let number = self.streams.all.fetch_add(1, Ordering::Relaxed) + 1;
        let context = RequestContext::new(self.info.clone(), number, LimitState::default());
        let mut request = request.map(|body| {
            if body.is_end_stream() { Body::empty() } else { Body::new(Watched::new(body, context.clone())) }
        });
        if let Some(remote) = self.info.remote_addr() {
            request.extensions_mut().insert(ConnectInfo(remote));
        }
        request.extensions_mut().insert(context.clone());
        let method = request.method().clone();
        Exchange {
            method,
            answer: Call::new(&mut self.app.clone(), request),
            stream: Some(OpenStream::new(context, self.streams.clone())),
        }
    }
}

pin_project_lite::pin_project! {
    /// The app at work on a request.
    struct Exchange<S: App> {
        #[pin]
        answer: Call<S>,
        method: Method,
        stream: Option<OpenStream>,
    }
}

impl<S: App> Future for Exchange<S> {
    type Output = Result<Response<AnswerBody>, StreamReset>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.answer.poll(cx));
        if let Some(reset) = response.extensions().get::<ResetWith>() {
            return Poll::Ready(Err(reset.error()));
        }
        let stream = this.stream.take();
        if stream
            .as_ref()
            .is_some_and(|stream| stream.context.connection().is_some_and(ConnectionInfo::wants_abort))
        {
            return Poll::Ready(Err(StreamReset::aborted()));
        }
        let mut response = Answer::prepare(response, this.method, cx);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            response = Answer::server_error(response.headers()); // HTTP/2 has no such status
        }
        drop_connection_headers(response.headers_mut());
        Poll::Ready(Ok(response.map(|answer| AnswerBody { answer, stream })))
    }
}

/// Leaves out what is about a connection of HTTP/1 (RFC 9113 section 8.2.2).
fn drop_connection_headers(headers: &mut HeaderMap) {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    let is_of_connection = |name: &&HeaderName| {
        matches!(**name, CONNECTION | TRANSFER_ENCODING | UPGRADE)
            || **name == KEEP_ALIVE
            || **name == PROXY_CONNECTION
    };
    let Some(found) = headers.keys().find(is_of_connection).cloned() else { return };
    events::connection_headers_dropped(&found);
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

/// A stream in work; dropped before its answer is complete, it tells the handler's helpers.
struct OpenStream {
    context: RequestContext,
    streams: Arc<Streams>,
    complete: bool,
}

impl OpenStream {
    fn new(context: RequestContext, streams: Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Ordering::AcqRel);
        streams.changed.notify_waiters();
        Self { context, streams, complete: false }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if !self.complete {
            self.context.abort();
        }
        self.streams.open.fetch_sub(1, Ordering::AcqRel);
        self.streams.changed.notify_waiters();
    }
}

/// An answer's body, which knows whether its client has got all of it.
struct AnswerBody {
    answer: Answer,
    stream: Option<OpenStream>,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.answer).poll_frame(cx));
        if frame.is_none()
            && let Some(stream) = &mut self.stream
        {
            stream.complete = true;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.complete |= self.answer.is_end_stream();
        }
    }
}
