//! Why a trailer cannot be sent, or is not there yet.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

/// Why a trailer could not be declared, appended or read.
///
/// A handler that returns it answers 500 with an empty body.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::{ResponseTrailers, TrailersError};
///
/// async fn handler(trailers: ResponseTrailers) -> Result<&'static str, TrailersError> {
///     match trailers.append("x-checksum", "900150983cd24fb0") {
///         Ok(()) | Err(TrailersError::NotSupported) => Ok("abc"), // a client that takes none
///         Err(error) => Err(error),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrailersError {
    /// The client takes no trailers; see [`ResponseTrailers::supported`](super::ResponseTrailers::supported).
    NotSupported,
    /// The answer's head has been sent, so that nothing more can be declared.
    HeadSent,
    /// On HTTP/1.1 only what was declared before the head was sent can be appended after it.
    NotDeclared,
    /// The answer is complete, or cannot have trailers: a 500, a 204, a 304, an answer to HEAD.
    Complete,
    /// No field of this name may stand in trailers.
    Forbidden,
    /// The name or the value is none that a field can have.
    Invalid,
    /// The request's body has not been read to its end.
    BodyNotRead,
}

impl fmt::Display for TrailersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSupported => "the client takes no trailers",
            Self::HeadSent => "a trailer must be declared before the answer's head is sent",
            Self::NotDeclared => {
                "over HTTP/1.1 a trailer that is appended after the answer's head must have been declared before it"
            }
            Self::Complete => "the answer is complete, or cannot have trailers",
            Self::Forbidden => "a field of this name may not stand in trailers",
            Self::Invalid => "not the name or the value of a field",
            Self::BodyNotRead => "the request's trailers are known once its body has been read to its end",
        })
    }
}

impl std::error::Error for TrailersError {}

impl IntoResponse for TrailersError {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}
