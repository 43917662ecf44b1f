//! The limits of HTTP/2.

use std::panic::Location;
use std::time::Duration;

use super::Problem;

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
    pub(crate) max_streams_per_connection: u32,
    pub(crate) header_table_size: u32,
    pub(crate) max_frame_size: u32,
    pub(crate) max_request_header_field_size: u32,
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

impl Default for Http2Limits {
    fn default() -> Self {
        Self {
            max_streams_per_connection: 100,
            header_table_size: 4096,
            max_frame_size: 16 * 1024,
            max_request_header_field_size: 32 * 1024,
            initial_connection_window_size: 1024 * 1024,
            initial_stream_window_size: 768 * 1024,
            keep_alive_ping_delay: None,
            keep_alive_ping_timeout: Some(Duration::from_secs(20)),
            problem: None,
        }
    }
}

impl Http2Limits {
    /// How many streams a client may have open at a time; default 100; at least 1. A further one
    /// is reset with `REFUSED_STREAM`.
    #[track_caller]
    pub fn max_streams_per_connection(mut self, streams: u32) -> Self {
        self.max_streams_per_connection = streams;
        self.range("max_streams_per_connection", streams, POSITIVE)
    }

    /// The size in bytes of the HPACK table for requests; default 4,096.
    #[track_caller]
    pub fn header_table_size(mut self, bytes: u32) -> Self {
        self.header_table_size = bytes;
        self.range("header_table_size", bytes, (0, POSITIVE.1))
    }

    /// The largest frame in bytes that is accepted; default 16,384; 16,384 to 16,777,215.
    #[track_caller]
    pub fn max_frame_size(mut self, bytes: u32) -> Self {
        self.max_frame_size = bytes;
        self.range("max_frame_size", bytes, FRAME_SIZES)
    }

    /// The longest name or value of a header in bytes; default 32,768; at least 1. One that is longer is answered with 431.
    #[track_caller]
    pub fn max_request_header_field_size(mut self, bytes: u32) -> Self {
        self.max_request_header_field_size = bytes;
        self.range("max_request_header_field_size", bytes, POSITIVE)
    }

    /// How many bytes of bodies a client may send ahead, over all streams; default 1,048,576;
    /// 65,535 to 2,147,483,647.
    #[track_caller]
    pub fn initial_connection_window_size(mut self, bytes: u32) -> Self {
        self.initial_connection_window_size = bytes;
        self.range("initial_connection_window_size", bytes, WINDOW_SIZES)
    }

    /// How many bytes of a body a client may send ahead; default 786,432; 65,535 to 2,147,483,647.
    #[track_caller]
    pub fn initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.initial_stream_window_size = bytes;
        self.range("initial_stream_window_size", bytes, WINDOW_SIZES)
    }

    /// How long a connection may be quiet before the server sends a PING; default `None`, never;
    /// at least 1 s.
    #[track_caller]
    pub fn keep_alive_ping_delay(mut self, delay: impl Into<Option<Duration>>) -> Self {
        let delay = delay.into();
        self.keep_alive_ping_delay = delay;
        self.a_second("keep_alive_ping_delay", delay)
    }

    /// How long the answer to such a PING may take before the connection ends; default 20 s;
    /// `None` is for ever; at least 1 s.
    #[track_caller]
    pub fn keep_alive_ping_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into();
        self.keep_alive_ping_timeout = timeout;
        self.a_second("keep_alive_ping_timeout", timeout)
    }

    #[track_caller]
    fn range(mut self, option: &str, value: u32, (least, most): (u32, u32)) -> Self {
        if value < least || value > most {
            let at = Location::caller();
            self.problem.get_or_insert_with(|| {
                Problem::new(format!("http2.{option}: {value} is not between {least} and {most}"), at)
            });
        }
        self
    }

    #[track_caller]
    fn a_second(mut self, option: &str, value: Option<Duration>) -> Self {
        if value.is_some_and(|value| value < Duration::from_secs(1)) {
            let at = Location::caller();
            self.problem.get_or_insert_with(|| {
                Problem::new(format!("http2.{option}: {value:?} is less than 1 s; None switches it off"), at)
            });
        }
        self
    }
}
