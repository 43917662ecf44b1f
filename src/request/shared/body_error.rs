//! Why a request's body could not be read to its end.

use std::error::Error as StdError;
use std::fmt;

use http::StatusCode;
use http_body_util::LengthLimitError;

/// Why a request's body could not be read to its end, as a handler finds it among the sources of
/// the error that the body or an extractor gave. A body over a size limit, whoever set it, gives a
/// `http_body_util::LengthLimitError`, which is found too.
///
/// # Example
///
/// ```
/// use std::error::Error;
/// use kestrel_rs::request::BodyError;
///
/// fn status(error: &(dyn Error + 'static)) -> Option<http::StatusCode> {
///     BodyError::find(error)?.status()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Rejected(StatusCode),
    Incomplete,
    TooSlow,
    TooLarge,
}

impl BodyError {
    pub(crate) fn rejected(status: StatusCode) -> Self {
        Self { reason: Reason::Rejected(status) }
    }

    pub(crate) fn incomplete() -> Self {
        Self { reason: Reason::Incomplete }
    }

    pub(crate) fn too_large() -> Self {
        Self { reason: Reason::TooLarge }
    }

    pub(crate) fn too_slow() -> Self {
        Self { reason: Reason::TooSlow }
    }

    /// Looks for this error among `error` and its sources.
    pub fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            if error.is::<LengthLimitError>() {
                return Some(Self { reason: Reason::TooLarge });
            }
            // An `io::Error` does not count what it was made of among its sources.
            next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// The status to answer with: 400 for bad framing, 408 for a body that came too slowly, 413 for
    /// one that is too large, 431 for trailers over the limits; `None` if the client has gone and no answer would reach it.
    pub fn status(self) -> Option<StatusCode> {
        match self.reason {
            Reason::Rejected(status) => Some(status),
            Reason::Incomplete => None,
            Reason::TooSlow => Some(StatusCode::REQUEST_TIMEOUT),
            Reason::TooLarge => Some(StatusCode::PAYLOAD_TOO_LARGE),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Rejected(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) => {
                "the trailers of the request are over the limits"
            }
            Reason::Rejected(_) => "the body of the request is malformed",
            Reason::Incomplete => "the client ended the connection inside the body of the request",
            Reason::TooSlow => "the body of the request came slower than the minimum data rate",
            Reason::TooLarge => "the body of the request is too large",
        })
    }
}

impl StdError for BodyError {}
