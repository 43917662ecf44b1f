//! Why a request is refused before any handler sees it, and the bare answer that it gets.

use http::StatusCode;

/// Why the gate refuses a request. Kestrel's names; the text is for the debug log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A TLS record on a cleartext port.
    TlsOverHttp,
    InvalidRequestLine,
    UnrecognizedHttpVersion,
    RequestLineTooLong,
    InvalidRequestTarget,
    /// `*` with a method other than OPTIONS.
    OptionsMethodRequired,
    /// An authority as the target of a method other than CONNECT.
    ConnectMethodRequired,
    InvalidRequestHeader,
    InvalidRequestHeadersNoCrLf,
    InvalidCharactersInHeaderName,
    MalformedHeaders,
    HeadersExceedMaxTotalSize,
    TooManyHeaders,
    RequestHeadersTimeout,
    MissingHostHeader,
    MultipleHostHeaders,
    InvalidHostHeader,
    InvalidContentLength,
    MultipleContentLengths,
    FinalTransferCodingNotChunked,
    LengthRequiredHttp10,
    BadChunkSizeData,
    BadChunkSuffix,
    BadChunkExtension,
    /// More octets of chunk extensions than any client needs.
    ChunkExtensionsTooLong,
    /// Strict parsing only: an `Expect` that is not `100-continue`.
    UnknownExpectation,
}

impl Rejection {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::UnrecognizedHttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::OptionsMethodRequired | Self::ConnectMethodRequired => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadersExceedMaxTotalSize | Self::TooManyHeaders => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::RequestHeadersTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownExpectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The value of the `Allow` header that goes with a 405.
    pub(crate) fn allow(self) -> Option<&'static str> {
        match self {
            Self::OptionsMethodRequired => Some("OPTIONS"),
            Self::ConnectMethodRequired => Some("CONNECT"),
            _ => None,
        }
    }
}
