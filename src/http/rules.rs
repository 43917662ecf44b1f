//! What the drivers need of an endpoint's limits, worked out once.

use std::time::Duration;

use super::http1::head::HeadRules;
use crate::limits::{Http2Limits, Limits, MinDataRate};
use crate::protocols::Protocols;

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) http1: bool,
    pub(crate) http2: bool,
    /// The connection is inside TLS.
    pub(crate) secure: bool,
    pub(crate) head: HeadRules,
    pub(crate) max_line: usize,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) request_headers: Option<Duration>,
    pub(crate) min_response_data_rate: Option<MinDataRate>,
    /// How much is read of what follows while a handler runs.
    pub(crate) read_ahead: usize,
    /// How much of an answer is gathered.
    pub(crate) max_gathered: usize,
    /// hyper's own bounds, above those of the gate so that they are never what refuses.
    pub(crate) hyper_buffer: usize,
    pub(crate) hyper_max_headers: Option<usize>,
    pub(crate) http2_limits: Http2Limits,
    pub(crate) max_headers_total: usize,
    /// The line of a refusal that says who refuses, or nothing.
    pub(crate) server_line: &'static str,
}

/// Enough to see a client's end of stream behind a few pipelined requests, not enough to be worth
/// filling.
const READ_AHEAD: usize = 16 * 1024;

/// What a head has beside its request line and its header lines: the empty line, and room for
/// hyper's comparisons with `>=`.
const SLACK: usize = 16;

impl Rules {
    /// For HTTP/1 inside TLS, where ALPN has said that it is spoken: there is no preface to look
    /// for.
    pub(crate) fn for_http1_over_tls(limits: &Limits) -> Self {
        Self { secure: true, ..Self::new(limits, Protocols::HTTP1) }
    }

    pub(crate) fn new(limits: &Limits, protocols: Protocols) -> Self {
        let head = limits.max_request_line_size + limits.max_request_headers_total_size + SLACK;
        let buffer = limits.max_request_buffer_size.unwrap_or(READ_AHEAD);
        let out = limits.max_response_buffer_size.unwrap_or(usize::MAX);
        Self {
            http1: protocols.contains(Protocols::HTTP1),
            http2: protocols.contains(Protocols::HTTP2),
            secure: false,
            head: HeadRules::new(limits),
            max_line: limits.max_request_line_size,
            keep_alive: limits.keep_alive_timeout,
            request_headers: limits.request_headers_timeout,
            min_response_data_rate: limits.min_response_data_rate,
            read_ahead: READ_AHEAD.min(buffer),
            max_gathered: out,
            // hyper takes no less than 8 KiB, and buffers answers up to the same bound.
            hyper_buffer: head.max(out.clamp(8 * 1024, 64 * 1024)),
            // hyper has 100 places on its stack; to ask for more costs an allocation a request.
            hyper_max_headers: Some(limits.max_request_header_count).filter(|count| *count > 100),
            http2_limits: limits.http2.clone(),
            max_headers_total: limits.max_request_headers_total_size,
            server_line: if limits.server_header { "Server: kestrel-rs\r\n" } else { "" },
        }
    }
}
