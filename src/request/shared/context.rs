//! What a request's layers and its handler share, and what a handler can ask about its request.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, StatusCode};

use super::BodyError;
use super::state::{EarlyHintsState, LimitState, ResetState, SynchronousIoState, TrailersState};
use crate::connection::{ConnectionId, ConnectionInfo, Event, TlsInfo};
use crate::telemetry::events;

/// Everything that the server knows of a request and its handler may ask, and what the request's
/// layers and its extractors share: one allocation a request.
#[derive(Clone, Default)]
pub struct RequestContext(Arc<RequestState>);

#[derive(Default)]
struct RequestState {
    /// `None` where a layer works under another server.
    served: Option<Served>,
    aborted: Event,
    limits: LimitState,
    reset: ResetState,
    trailers: TrailersState,
    synchronous_io: SynchronousIoState,
    early_hints: EarlyHintsState,
}

struct Served {
    connection: ConnectionInfo,
    number: u64,
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext").finish_non_exhaustive()
    }
}

impl RequestContext {
    pub(crate) fn new(connection: ConnectionInfo, number: u64, limits: LimitState) -> Self {
        Self(Arc::new(RequestState {
            served: Some(Served { connection, number }),
            limits,
            ..RequestState::default()
        }))
    }

    /// That of a connection's next request: in the same place, if nobody holds it any more.
    pub(crate) fn next(mut self, connection: &ConnectionInfo, number: u64, limits: LimitState) -> Self {
        let Some(state) = Arc::get_mut(&mut self.0) else {
            return Self::new(connection.clone(), number, limits);
        };
        let connection = state.served.take().map_or_else(|| connection.clone(), |served| served.connection);
        *state =
            RequestState { served: Some(Served { connection, number }), limits, ..RequestState::default() };
        self
    }

    pub(crate) fn limits(&self) -> &LimitState {
        &self.0.limits
    }

    /// The context of a request for its layers: what the server has set, else a new one.
    #[inline]
    pub(in crate::request) fn of(extensions: &mut Extensions) -> Self {
        match extensions.get::<Self>() {
            Some(context) => context.clone(), // the hot path: one look, nothing made
            None => extensions.get_or_insert_default::<Self>().clone(),
        }
    }

    /// `None` where a layer works under another server.
    pub(crate) fn connection(&self) -> Option<&ConnectionInfo> {
        self.0.served.as_ref().map(|served| &served.connection)
    }

    fn served(parts: &Parts) -> Option<&Served> {
        parts.extensions.get::<Self>()?.0.served.as_ref()
    }

    pub(in crate::request) fn is_served(&self) -> bool {
        self.0.served.is_some()
    }

    pub(in crate::request) fn reset(&self) -> &ResetState {
        &self.0.reset
    }

    pub(in crate::request) fn trailers(&self) -> &TrailersState {
        &self.0.trailers
    }

    pub(in crate::request) fn synchronous_io(&self) -> &SynchronousIoState {
        &self.0.synchronous_io
    }

    pub(in crate::request) fn early_hints(&self) -> &EarlyHintsState {
        &self.0.early_hints
    }

    /// The headers of the next 103 that the handler wants to be sent; to be asked whenever the handler has been at work.
    #[inline]
    pub(crate) fn poll_early_hints(&self, cx: &Context<'_>) -> Poll<HeaderMap> {
        self.0.early_hints.poll(cx)
    }

    /// No more is sent before the answer.
    pub(crate) fn end_early_hints(&self) {
        self.0.early_hints.end();
    }

    /// The body is refused, or will not be read, for a limit or its framing.
    pub(crate) fn body_refused(&self, error: BodyError) {
        if let (Some(connection), Some(status)) = (self.connection(), error.status()) {
            events::bad_request(connection, &error, status.as_u16());
        }
    }

    /// The client does not wait for the answer any more.
    pub(crate) fn abort(&self) {
        self.0.aborted.fire();
    }
}

/// Where the client of a request is, as a trusted proxy has said it.
#[derive(Clone, Copy)]
pub(crate) struct ForwardedRemote(pub(crate) SocketAddr);

/// The identity of a request: that of its connection, and its number on it, counted from 1 on
/// HTTP/1.
///
/// # Example
///
/// ```
/// use kestrel_rs::RequestId;
///
/// async fn handler(id: RequestId) -> String {
///     assert_eq!(id.to_string(), format!("{}:{:08X}", id.connection(), id.number()));
///     id.to_string() // "0HNG7QK3J4T1C:00000001"
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    connection: ConnectionId,
    number: u64,
}

impl RequestId {
    /// The connection that the request came on.
    pub fn connection(self) -> ConnectionId {
        self.connection
    }

    /// Its number on that connection.
    pub fn number(self) -> u64 {
        self.number
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08X}", self.connection, self.number)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// Tells a handler that its client does not wait any more.
///
/// It fires when the client ends its side of the connection while the handler runs. The answer is
/// still written, for a client that only said that it will not send more. One that breaks off inside
/// the body of its request gets none, unless the answer has begun. A reset is different: it drops
/// the handler where it waits, and what the handler gave this to (a task of its own) sees it fire.
/// It does not fire once the answer is complete.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kestrel_rs::RequestAborted;
///
/// async fn report(aborted: RequestAborted) -> &'static str {
///     tokio::select! {
///         () = aborted.aborted() => "never mind",
///         () = tokio::time::sleep(Duration::from_secs(60)) => "the report",
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(report));
/// ```
#[derive(Clone)]
pub struct RequestAborted(RequestContext);

impl RequestAborted {
    /// Waits until the client does not wait any more; for ever, if it does to the end.
    pub async fn aborted(&self) {
        self.0.0.aborted.wait().await;
    }

    /// Whether the client does not wait any more.
    pub fn is_aborted(&self) -> bool {
        self.0.0.aborted.has_fired()
    }
}

impl fmt::Debug for RequestAborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestAborted({})", self.is_aborted())
    }
}

/// The request did not come through kestrel-rs, so there is nothing to extract.
///
/// # Example
///
/// ```
/// use axum::response::IntoResponse;
/// use kestrel_rs::request::NotServedByKestrel;
///
/// // What the client sees; the reason is in the body, for whoever wires the server up.
/// async fn answer(rejection: NotServedByKestrel) -> u16 {
///     rejection.into_response().status().as_u16() // 500
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NotServedByKestrel;

impl fmt::Display for NotServedByKestrel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this request did not come through `kestrel_rs::serve`, which sets what the handler asks for; take an `Option<_>` where that may be")
    }
}

impl std::error::Error for NotServedByKestrel {}

impl IntoResponse for NotServedByKestrel {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// The connection is not one of TLS, or the request did not come through kestrel-rs.
///
/// # Example
///
/// ```
/// use axum::response::IntoResponse;
/// use kestrel_rs::request::NoTls;
///
/// // A handler behind plain HTTP too takes an `Option<TlsInfo>` instead.
/// async fn answer(rejection: NoTls) -> u16 {
///     rejection.into_response().status().as_u16() // 500
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NoTls;

impl fmt::Display for NoTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this request did not come over TLS; take an `Option<TlsInfo>` where that may be")
    }
}

impl std::error::Error for NoTls {}

impl IntoResponse for NoTls {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl TlsInfo {
    fn find(parts: &mut Parts) -> Result<Self, NoTls> {
        let served = RequestContext::served(parts).ok_or(NoTls)?;
        served.connection.tls().cloned().ok_or(NoTls)
    }
}

impl ConnectionInfo {
    fn find(parts: &mut Parts) -> Result<Self, NotServedByKestrel> {
        let connection = RequestContext::served(parts).ok_or(NotServedByKestrel)?.connection.clone();
        Ok(match parts.extensions.get::<ForwardedRemote>() {
            Some(ForwardedRemote(client)) => connection.with_remote_addr(*client),
            None => connection,
        })
    }
}

impl RequestId {
    fn find(parts: &mut Parts) -> Result<Self, NotServedByKestrel> {
        let served = RequestContext::served(parts).ok_or(NotServedByKestrel)?;
        Ok(Self { connection: served.connection.id(), number: served.number })
    }
}

impl RequestAborted {
    fn find(parts: &mut Parts) -> Result<Self, NotServedByKestrel> {
        let context = parts.extensions.get::<RequestContext>().filter(|context| context.is_served());
        context.cloned().map(Self).ok_or(NotServedByKestrel)
    }
}

extractor!(TlsInfo, NoTls);
extractor!(ConnectionInfo, NotServedByKestrel);
extractor!(RequestId, NotServedByKestrel);
extractor!(RequestAborted, NotServedByKestrel);
