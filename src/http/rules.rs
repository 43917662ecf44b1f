//! What the engines need of an endpoint's limits, worked out once.

use std::time::Duration;

use crate::limits::{HeaderValues, Http1Parsing, Http2Limits, Limits, MinDataRate};
use crate::protocols::Protocols;

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) http1: bool,
    pub(crate) http2: bool,
    /// The connection is inside TLS.
    pub(crate) secure: bool,
    pub(crate) head: HeadRules,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) request_headers: Option<Duration>,
    pub(crate) min_response_data_rate: Option<MinDataRate>,
    /// How much is read of what follows while a handler runs.
    pub(crate) read_ahead: usize,
    /// How much of a body is held for a reader who does not take it.
    pub(crate) max_held: usize,
    /// How much is thrown away of what comes behind the last words of a connection.
    pub(crate) max_discarded: u64,
    /// How much of an answer is gathered.
    pub(crate) max_gathered: usize,
    pub(crate) http2_limits: Http2Limits,
    /// The line of a refusal that says who refuses, or nothing.
    pub(crate) server_line: &'static str,
    /// The same as a value.
    pub(crate) server: Option<&'static str>,
}

/// What decides whether a head is taken, for every version of HTTP.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct HeadRules {
    pub(crate) max_line: usize,
    pub(crate) max_headers_total: usize,
    pub(crate) max_headers: usize,
    /// Of HTTP/2 alone: a header's name and its value each.
    pub(crate) max_field: usize,
    pub(crate) strict: bool,
    pub(crate) utf8_values: bool,
    pub(crate) host_override: bool,
    /// Paths are shown to the app without what means the same (RFC 3986 section 6.2.2).
    pub(crate) normalize_paths: bool,
}

/// `http::HeaderMap` has room for 24,576 names and panics over it.
const MOST_HEADERS: usize = 24_000;

/// Enough to see a client's end of stream behind a few pipelined requests, not enough to be worth
/// filling.
const READ_AHEAD: usize = 16 * 1024;

impl Rules {
    /// For HTTP/1 inside TLS, where ALPN has said that it is spoken: there is no preface to look
    /// for.
    pub(crate) fn for_http1_over_tls(limits: &Limits) -> Self {
        Self { secure: true, ..Self::new(limits, Protocols::HTTP1) }
    }

    /// Names each limit, so that one that is forgotten does not compile.
    pub(crate) fn new(limits: &Limits, protocols: Protocols) -> Self {
        let Limits {
            max_concurrent_connections: _,          // a layer of the connection
            max_concurrent_upgraded_connections: _, // the server counts
            max_request_line_size,
            max_request_headers_total_size,
            max_request_header_count,
            max_request_body_size, // else a layer of the request, as is the rate of its body
            max_request_buffer_size,
            max_response_buffer_size,
            keep_alive_timeout,
            request_headers_timeout,
            min_request_body_data_rate: _,
            min_response_data_rate,
            http1_parsing,
            header_values,
            allow_host_header_override,
            path_normalization,
            server_header,
            http2,
            problem: _, // such limits are not served with
        } = limits;
        let max_line = max_request_line_size.unwrap_or(usize::MAX);
        let max_headers_total = max_request_headers_total_size.unwrap_or(usize::MAX);
        let max_headers = max_request_header_count.unwrap_or(MOST_HEADERS).min(MOST_HEADERS);
        let buffer = max_request_buffer_size.unwrap_or(usize::MAX);
        Self {
            http1: protocols.contains(Protocols::HTTP1),
            http2: protocols.contains(Protocols::HTTP2),
            secure: false,
            head: HeadRules {
                max_line,
                max_headers_total,
                max_headers,
                max_field: http2
                    .max_request_header_field_size
                    .and_then(|most| usize::try_from(most).ok())
                    .unwrap_or(usize::MAX),
                strict: *http1_parsing == Http1Parsing::Strict,
                utf8_values: *header_values == HeaderValues::Utf8,
                host_override: *allow_host_header_override,
                normalize_paths: *path_normalization,
            },
            keep_alive: *keep_alive_timeout,
            request_headers: *request_headers_timeout,
            min_response_data_rate: *min_response_data_rate,
            read_ahead: READ_AHEAD.min(buffer),
            max_held: buffer,
            max_discarded: max_request_body_size.unwrap_or(u64::MAX),
            max_gathered: max_response_buffer_size.unwrap_or(usize::MAX),
            http2_limits: http2.clone(),
            server: server_header.then_some("kestrel-rs"),
            server_line: if *server_header { "Server: kestrel-rs\r\n" } else { "" },
        }
    }
}

impl HeadRules {
    #[cfg(test)]
    pub(crate) fn new(limits: &Limits) -> Self {
        Rules::new(limits, Protocols::HTTP1).head
    }

    /// Octets of header lines, trailers and both empty lines: Kestrel counts the empty line of the head as two.
    pub(crate) fn most_header_octets(&self) -> usize {
        self.max_headers_total.saturating_add(2)
    }
}
