//! Why a request is refused before any handler sees it, and the bare answer that it gets.

use std::fmt::{self, Write as _};

use http::StatusCode;

use crate::text::date;

/// Why a request is refused. Kestrel's names; the text is for the debug log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// A TLS record on a cleartext port.
    TlsOverHttp,
    InvalidRequestLine,
    UnrecognizedHttpVersion,
    /// The preface of HTTP/2 where HTTP/2 is not spoken.
    Http2Preface,
    /// A request of HTTP/1 on an endpoint that speaks HTTP/2 only.
    Http1OnHttp2Endpoint,
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
    /// `chunked` more than once: others may decode it twice.
    ChunkedTwice,
    /// Strict parsing only: Content-Length beside Transfer-Encoding.
    LengthAndTransferCoding,
    LengthRequiredHttp10,
    BadChunkSizeData,
    BadChunkSuffix,
    BadChunkExtension,
    /// More octets of chunk extensions than any client needs.
    ChunkExtensionsTooLong,
    /// Strict parsing only: an `Expect` that is not `100-continue`.
    UnknownExpectation,
    /// The host has other rules for client certificates than the connection.
    Misdirected,
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
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
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

    /// The whole answer, as it goes to the wire.
    pub(crate) fn answer(self, server_line: &str) -> Vec<u8> {
        if self == Self::Http2Preface {
            return HTTP_1_1_REQUIRED.to_vec();
        }
        let status = self.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let mut answer = format!("HTTP/1.1 {} {reason}\r\n", status.as_str());
        let body = if self == Self::Http1OnHttp2Endpoint { WRONG_VERSION } else { "" };
        if !body.is_empty() {
            answer.push_str("Content-Type: text/plain\r\n");
        }
        // Writing to a string does not fail.
        _ = write!(answer, "Content-Length: {}\r\nConnection: close\r\n", body.len());
        if let Some(allow) = self.allow() {
            _ = write!(answer, "Allow: {allow}\r\n");
        }
        _ = write!(answer, "Date: {}\r\n{server_line}\r\n{body}", date::now().to_str().unwrap_or_default());
        answer.into_bytes()
    }
}

/// What the log says of it.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TlsOverHttp => "a TLS handshake on an endpoint without TLS",
            Self::InvalidRequestLine => "invalid request line",
            Self::UnrecognizedHttpVersion => "unrecognized HTTP version",
            Self::Http2Preface => "HTTP/2 on an endpoint that does not speak it",
            Self::Http1OnHttp2Endpoint => "HTTP/1 on an endpoint that speaks HTTP/2 only",
            Self::RequestLineTooLong => "the request line is over max_request_line_size",
            Self::InvalidRequestTarget => "invalid request target",
            Self::OptionsMethodRequired => "the target * is for OPTIONS only",
            Self::ConnectMethodRequired => "an authority as target is for CONNECT only",
            Self::InvalidRequestHeader => "invalid header line",
            Self::InvalidRequestHeadersNoCrLf => "the header does not end with CRLF",
            Self::InvalidCharactersInHeaderName => "invalid characters in the name of a header",
            Self::MalformedHeaders => "malformed headers",
            Self::HeadersExceedMaxTotalSize => "the headers are over max_request_headers_total_size",
            Self::TooManyHeaders => "the headers are over max_request_header_count",
            Self::RequestHeadersTimeout => "the head did not come within request_headers_timeout",
            Self::MissingHostHeader => "no Host header",
            Self::MultipleHostHeaders => "several Host headers",
            Self::InvalidHostHeader => "invalid Host header",
            Self::InvalidContentLength => "invalid Content-Length",
            Self::MultipleContentLengths => "several Content-Length headers",
            Self::FinalTransferCodingNotChunked => "the last transfer coding is not chunked",
            Self::ChunkedTwice => "chunked twice",
            Self::LengthAndTransferCoding => "Content-Length beside Transfer-Encoding",
            Self::LengthRequiredHttp10 => "POST or PUT of HTTP/1.0 without a length",
            Self::BadChunkSizeData => "bad chunk size",
            Self::BadChunkSuffix => "a chunk does not end with CRLF",
            Self::BadChunkExtension => "bad chunk extension",
            Self::ChunkExtensionsTooLong => "too many octets of chunk extensions",
            Self::UnknownExpectation => "unknown Expect",
            Self::Misdirected => "the host has other rules for client certificates than the connection",
        })
    }
}

/// A GOAWAY frame: last stream 0, `HTTP_1_1_REQUIRED` (RFC 9113 section 6.8).
const HTTP_1_1_REQUIRED: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd];

const WRONG_VERSION: &str = "An HTTP/1.x request was sent to an HTTP/2 only endpoint.";
