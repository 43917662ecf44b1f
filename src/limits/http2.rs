//! The limits of HTTP/2.

use std::time::Duration;

use super::problem::Problem;

/// The limits of HTTP/2 connections, as part of [`Limits`](super::Limits).
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`max_streams_per_connection`](Self::max_streams_per_connection) | 100 |
/// | [`header_table_size`](Self::header_table_size) | 4,096 bytes |
/// | [`max_frame_size`](Self::max_frame_size) | 16,384 bytes |
/// | [`max_request_header_field_size`](Self::max_request_header_field_size) | 32,768 bytes |
/// | [`initial_connection_window_size`](Self::initial_connection_window_size) | 1,048,576 bytes |
/// | [`initial_stream_window_size`](Self::initial_stream_window_size) | 786,432 bytes |
/// | [`keep_alive_ping_delay`](Self::keep_alive_ping_delay) | `None`, no pings |
/// | [`keep_alive_ping_timeout`](Self::keep_alive_ping_timeout) | 20 s |
///
/// # Example
///
/// ```
/// use kestrel_rs::{Http2Limits, Limits};
///
/// let limits = Limits::default().http2(Http2Limits::default().max_streams_per_connection(250));
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Http2Limits {
    pub(crate) max_streams_per_connection: Option<u32>,
    pub(crate) header_table_size: u32,
    pub(crate) max_frame_size: u32,
    pub(crate) max_request_header_field_size: Option<u32>,
    pub(crate) initial_connection_window_size: u32,
    pub(crate) initial_stream_window_size: u32,
    pub(crate) keep_alive_ping_delay: Option<Duration>,
    pub(crate) keep_alive_ping_timeout: Option<Duration>,
    pub(crate) problem: Option<Problem>,
}

/// RFC 9113 section 6.5.2: the range of `SETTINGS_MAX_FRAME_SIZE`.
const FRAME_SIZES: (u32, u32) = (1 << 14, (1 << 24) - 1);
/// RFC 9113 section 6.9.2: a window starts at 65,535 and may not pass 2^31-1.
const WINDOW_SIZES: (u32, u32) = (65_535, (1 << 31) - 1);
/// What a signed 32-bit option of Kestrel holds.
const POSITIVE: (u32, u32) = (1, i32::MAX as u32);
const SECOND: Duration = Duration::from_secs(1);

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_streams_per_connection: Some(100),
            header_table_size: 4096,
            max_frame_size: 16 * 1024,
            max_request_header_field_size: Some(32 * 1024),
            initial_connection_window_size: 1024 * 1024,
            initial_stream_window_size: 768 * 1024,
            keep_alive_ping_delay: None,
            keep_alive_ping_timeout: Some(Duration::from_secs(20)),
            problem: None,
        }
    }
}

impl Http2Limits {
    /// How many streams a client may have open at a time; default 100; 1 to 2,147,483,647; `None`
    /// is unlimited, and a client may then have as many requests in work as its memory and yours
    /// hold. A further one is reset with `REFUSED_STREAM`.
    #[track_caller]
    pub fn max_streams_per_connection(mut self, streams: impl Into<Option<u32>>) -> Self {
        self.max_streams_per_connection = streams.into();
        let problem =
            Problem::of_range("http2.max_streams_per_connection", self.max_streams_per_connection, POSITIVE);
        self.refuse(problem)
    }

    /// The size in bytes of the HPACK table for requests; default 4,096; at most 2,147,483,647.
    #[track_caller]
    pub fn header_table_size(mut self, bytes: u32) -> Self {
        self.header_table_size = bytes;
        let problem = Problem::of_range("http2.header_table_size", Some(bytes), (0, POSITIVE.1));
        self.refuse(problem)
    }

    /// The largest frame in bytes that is accepted; default 16,384; 16,384 to 16,777,215.
    #[track_caller]
    pub fn max_frame_size(mut self, bytes: u32) -> Self {
        self.max_frame_size = bytes;
        let problem = Problem::of_range("http2.max_frame_size", Some(bytes), FRAME_SIZES);
        self.refuse(problem)
    }

    /// The longest name or value of a header in bytes; default 32,768; 1 to 2,147,483,647; `None`
    /// is unlimited, and only their total size counts. A longer one is answered with 431.
    #[track_caller]
    pub fn max_request_header_field_size(mut self, bytes: impl Into<Option<u32>>) -> Self {
        self.max_request_header_field_size = bytes.into();
        let problem = Problem::of_range(
            "http2.max_request_header_field_size",
            self.max_request_header_field_size,
            POSITIVE,
        );
        self.refuse(problem)
    }

    /// How many bytes of bodies a client may send ahead, over all streams; default 1,048,576;
    /// 65,535 to 2,147,483,647.
    #[track_caller]
    pub fn initial_connection_window_size(mut self, bytes: u32) -> Self {
        self.initial_connection_window_size = bytes;
        let problem = Problem::of_range("http2.initial_connection_window_size", Some(bytes), WINDOW_SIZES);
        self.refuse(problem)
    }

    /// How many bytes of a body a client may send ahead; default 786,432; 65,535 to 2,147,483,647.
    #[track_caller]
    pub fn initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.initial_stream_window_size = bytes;
        let problem = Problem::of_range("http2.initial_stream_window_size", Some(bytes), WINDOW_SIZES);
        self.refuse(problem)
    }

    /// How long a connection may be quiet before the server sends a PING; default `None`, never;
    /// at least 1 s.
    #[track_caller]
    pub fn keep_alive_ping_delay(mut self, delay: impl Into<Option<Duration>>) -> Self {
        let delay = delay.into();
        self.keep_alive_ping_delay = delay;
        let problem = Problem::of_time("http2.keep_alive_ping_delay", delay, SECOND);
        self.refuse(problem)
    }

    /// How long the answer to such a PING may take before the connection ends; default 20 s;
    /// `None` is for ever; at least 1 s.
    #[track_caller]
    pub fn keep_alive_ping_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into();
        self.keep_alive_ping_timeout = timeout;
        let problem = Problem::of_time("http2.keep_alive_ping_timeout", timeout, SECOND);
        self.refuse(problem)
    }

    /// Keeps the first of the problems.
    fn refuse(mut self, problem: Option<Problem>) -> Self {
        self.problem = self.problem.or(problem);
        self
    }
}
