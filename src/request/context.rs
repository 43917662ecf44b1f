//! What a handler can ask about its request, and its extractors.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::connection::{ConnectionInfo, Event, TlsInfo};

/// Everything that the server knows of a request and its handler may ask: one allocation a request.
#[derive(Clone)]
pub(crate) struct RequestContext(Arc<Inner>);

struct Inner {
    connection: ConnectionInfo,
    number: u64,
    aborted: Event,
}

impl RequestContext {
    pub(crate) fn new(connection: ConnectionInfo, number: u64) -> Self {
        Self(Arc::new(Inner { connection, number, aborted: Event::default() }))
    }

    pub(crate) fn connection(&self) -> &ConnectionInfo {
        &self.0.connection
    }

    /// The client does not wait for the answer any more.
    pub(crate) fn abort(&self) {
        self.0.aborted.fire();
    }
}

/// The identity of a request: that of its connection, and its number on it, counted from 1 on
/// HTTP/1.
///
/// # Example
///
/// ```
/// use kestrel_rs::RequestId;
///
/// async fn handler(id: RequestId) -> String {
///     id.to_string() // "0HNG7QK3J4T1C:00000001"
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone)]
pub struct RequestId(RequestContext);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08X}", self.0.0.connection.id(), self.0.0.number)
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
/// still written, for a client that only said that it will not send more. A reset is different: it
/// drops the handler where it waits, and what the handler gave this to (a task of its own) sees it
/// fire. It does not fire once the answer is complete.
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

impl<S: Sync> FromRequestParts<S> for TlsInfo {
    type Rejection = NoTls;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoTls> {
        tls(parts).ok_or(NoTls)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for TlsInfo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(tls(parts))
    }
}

fn tls(parts: &Parts) -> Option<TlsInfo> {
    parts.extensions.get::<RequestContext>()?.connection().tls().cloned()
}

macro_rules! extract {
    ($type:ty, $from:expr) => {
        impl<S: Sync> FromRequestParts<S> for $type {
            type Rejection = NotServedByKestrel;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotServedByKestrel> {
                parts.extensions.get::<RequestContext>().map($from).ok_or(NotServedByKestrel)
            }
        }

        impl<S: Sync> OptionalFromRequestParts<S> for $type {
            type Rejection = Infallible;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
                Ok(parts.extensions.get::<RequestContext>().map($from))
            }
        }
    };
}

extract!(ConnectionInfo, |context| context.connection().clone());
extract!(RequestId, |context| RequestId(context.clone()));
extract!(RequestAborted, |context| RequestAborted(context.clone()));
