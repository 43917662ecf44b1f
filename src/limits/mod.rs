//! How much a client may send, and how long it may take: every number with Kestrel's default.

mod http2;
mod min_data_rate;
mod problem;
mod response_clock;

use std::time::Duration;

use crate::error::{Error, ErrorKind};

pub use http2::Http2Limits;
pub use min_data_rate::MinDataRate;
use problem::Problem;
pub(crate) use response_clock::ResponseClock;

/// The limits of an endpoint, all of them on by default.
///
/// Setters consume and return the limits, so that they chain. Where a setter takes
/// `impl Into<Option<_>>`, `None` means unlimited.
///
/// A value that an option cannot have (a request line of 0 bytes) is remembered with the place in
/// your source where it was given, and reported by [`check`](Self::check), which
/// [`bind`](crate::listener::Builder::bind) calls: a server with such limits does not start.
///
/// # Defaults
///
/// | option | default | over it |
/// |---|---|---|
/// | [`max_concurrent_connections`](Self::max_concurrent_connections) | unlimited | closed, nothing sent |
/// | [`max_concurrent_upgraded_connections`](Self::max_concurrent_upgraded_connections) | unlimited | 500 instead of 101 |
/// | [`max_request_line_size`](Self::max_request_line_size) | 8,192 bytes | 414 |
/// | [`max_request_headers_total_size`](Self::max_request_headers_total_size) | 32,768 bytes | 431 |
/// | [`max_request_header_count`](Self::max_request_header_count) | 100 | 431 |
/// | [`max_request_body_size`](Self::max_request_body_size) | 30,000,000 bytes | 413 |
/// | [`max_request_buffer_size`](Self::max_request_buffer_size) | 1,048,576 bytes | reading pauses |
/// | [`max_response_buffer_size`](Self::max_response_buffer_size) | 65,536 bytes | the handler's writes wait |
/// | [`keep_alive_timeout`](Self::keep_alive_timeout) | 130 s | closed |
/// | [`request_headers_timeout`](Self::request_headers_timeout) | 30 s | 408 |
/// | [`min_request_body_data_rate`](Self::min_request_body_data_rate) | 240 bytes/s after 5 s | 408 |
/// | [`min_response_data_rate`](Self::min_response_data_rate) | 240 bytes/s after 5 s | reset |
/// | [`http1_parsing`](Self::http1_parsing) | [`Http1Parsing::Compatible`] | 400 |
/// | [`header_values`](Self::header_values) | [`HeaderValues::Utf8`] | 400 |
/// | [`allow_host_header_override`](Self::allow_host_header_override) | off | 400 |
/// | [`without_path_normalization`](Self::without_path_normalization) | paths are normalised | |
/// | [`without_server_header`](Self::without_server_header) | `Server: kestrel-rs` | |
/// | [`http2`](Self::http2) | see [`Http2Limits`] | |
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kestrel_rs::{Limits, MinDataRate};
///
/// let limits = Limits::default()
///     .max_concurrent_connections(10_000)
///     .max_request_body_size(10 * 1024 * 1024)
///     .min_request_body_data_rate(MinDataRate::new(240.0, Duration::from_secs(5))?)
///     .min_response_data_rate(None)
///     .request_headers_timeout(Duration::from_secs(15));
/// limits.check()?;
///
/// let error = Limits::default().max_request_line_size(0).check().unwrap_err();
/// assert!(error.to_string().starts_with("max_request_line_size"));
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) max_concurrent_connections: Option<usize>,
    pub(crate) max_concurrent_upgraded_connections: Option<usize>,
    pub(crate) max_request_line_size: Option<usize>,
    pub(crate) max_request_headers_total_size: Option<usize>,
    pub(crate) max_request_header_count: Option<usize>,
    pub(crate) max_request_body_size: Option<u64>,
    pub(crate) max_request_buffer_size: Option<usize>,
    pub(crate) max_response_buffer_size: Option<usize>,
    pub(crate) keep_alive_timeout: Option<Duration>,
    pub(crate) request_headers_timeout: Option<Duration>,
    pub(crate) min_request_body_data_rate: Option<MinDataRate>,
    pub(crate) min_response_data_rate: Option<MinDataRate>,
    pub(crate) http1_parsing: Http1Parsing,
    pub(crate) header_values: HeaderValues,
    pub(crate) allow_host_header_override: bool,
    pub(crate) path_normalization: bool,
    pub(crate) server_header: bool,
    pub(crate) http2: Http2Limits,
    pub(crate) problem: Option<Problem>,
}

/// How strictly HTTP/1 is read.
///
/// # Example
///
/// ```
/// use kestrel_rs::limits::{Http1Parsing, Limits};
///
/// // No client but our own: refuse whatever two readers could read in two ways.
/// let limits = Limits::default().http1_parsing(Http1Parsing::Strict);
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http1Parsing {
    /// What Kestrel takes is taken, unless it is a known way to smuggle a request.
    #[default]
    Compatible,
    /// Also refused with 400: a line that ends with LF alone, `Content-Length` beside
    /// `Transfer-Encoding`, leading zeros in a length, an empty `Host`, more than one empty line
    /// before a request, a target with characters that RFC 3986 does not have; and an `Expect`
    /// other than `100-continue` with 417.
    Strict,
}

/// Which octets the value of a request's header may have, beside visible ASCII, space and tab.
///
/// # Example
///
/// ```
/// use kestrel_rs::limits::{HeaderValues, Limits};
///
/// // Old clients send Latin-1; handlers read `HeaderValue::as_bytes`.
/// let limits = Limits::default().header_values(HeaderValues::Octets);
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderValues {
    /// UTF-8; anything else is answered with 400, as Kestrel does.
    #[default]
    Utf8,
    /// Any octet above 0x7F, as `HeaderValue` can hold it.
    Octets,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_connections: None,
            max_concurrent_upgraded_connections: None,
            max_request_line_size: Some(8 * 1024),
            max_request_headers_total_size: Some(32 * 1024),
            max_request_header_count: Some(100),
            max_request_body_size: Some(30_000_000),
            max_request_buffer_size: Some(1024 * 1024),
            max_response_buffer_size: Some(64 * 1024),
            keep_alive_timeout: Some(Duration::from_secs(130)),
            request_headers_timeout: Some(Duration::from_secs(30)),
            min_request_body_data_rate: Some(MinDataRate::default()),
            min_response_data_rate: Some(MinDataRate::default()),
            http1_parsing: Http1Parsing::default(),
            header_values: HeaderValues::default(),
            allow_host_header_override: false,
            path_normalization: true,
            server_header: true,
            http2: Http2Limits::default(),
            problem: None,
        }
    }
}

impl Limits {
    /// How many connections an endpoint holds at a time; default `None`, unlimited; at least 1.
    ///
    /// One more is closed as soon as it is accepted, with nothing sent. Each bound socket counts by
    /// itself, as in Kestrel: `localhost` has two. An upgraded connection no longer counts.
    /// See [`ConnectionLimitLayer`](crate::connection::ConnectionLimitLayer).
    #[track_caller]
    pub fn max_concurrent_connections(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_concurrent_connections = limit.into();
        let problem = Problem::of_range("max_concurrent_connections", self.max_concurrent_connections, ANY);
        self.refuse(problem)
    }

    /// How many upgraded connections (WebSocket, `CONNECT`) there are at a time; default `None`,
    /// unlimited. Over it the client gets a 500 in place of the 101, as in Kestrel. A stream of
    /// HTTP/2 that a `CONNECT` has opened counts as one.
    ///
    /// Endpoints that have these limits from the [`Builder`](crate::listener::Builder::limits)
    /// count together; one with [limits of its own](crate::Endpoint::limits) counts by itself.
    pub fn max_concurrent_upgraded_connections(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.max_concurrent_upgraded_connections = limit.into();
        self
    }

    /// The longest request line in bytes, its line end included; default 8,192; 1 to 2,147,483,647;
    /// `None` is unlimited. [`max_request_buffer_size`](Self::max_request_buffer_size) is no less.
    ///
    /// A longer one is answered with 414, and so is a target over 65,534 bytes, which no
    /// [`Uri`](http::Uri) holds. Empty lines before a request count to it too. On HTTP/2 method,
    /// scheme, authority and path count, and the stream is reset with `PROTOCOL_ERROR`.
    #[track_caller]
    pub fn max_request_line_size(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.max_request_line_size = bytes.into();
        let problem = Problem::of_range("max_request_line_size", self.max_request_line_size, POSITIVE);
        self.refuse(problem)
    }

    /// The most bytes that the header lines of a request may have, line ends included, the empty
    /// line at the end not; default 32,768; 1 to 2,147,483,647; `None` is unlimited. Trailers count
    /// too. More is answered with 431. On HTTP/2 a field counts as its name, its value and 32 bytes (RFC
    /// 9113 section 6.5.2), and trailers by themselves.
    /// [`max_request_buffer_size`](Self::max_request_buffer_size) is no less.
    #[track_caller]
    pub fn max_request_headers_total_size(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.max_request_headers_total_size = bytes.into();
        let problem = Problem::of_range(
            "max_request_headers_total_size",
            self.max_request_headers_total_size,
            POSITIVE,
        );
        self.refuse(problem)
    }

    /// The most header lines, trailers included; default 100; 1 to 2,147,483,647; `None` is
    /// unlimited. More is answered with 431. On HTTP/2 each of `:method`, `:path` and the like is one,
    /// and more than twice as many end the connection.
    ///
    /// # Differences from Kestrel
    ///
    /// More than 24,000 lines are never taken: a [`HeaderMap`](http::HeaderMap) holds no more.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Limits;
    ///
    /// // Only their total size counts.
    /// assert!(Limits::default().max_request_header_count(None).check().is_ok());
    /// ```
    #[track_caller]
    pub fn max_request_header_count(mut self, lines: impl Into<Option<usize>>) -> Self {
        self.max_request_header_count = lines.into();
        let problem = Problem::of_range("max_request_header_count", self.max_request_header_count, POSITIVE);
        self.refuse(problem)
    }

    /// The largest request body in bytes, the framing of chunks included; default 30,000,000;
    /// `None` is unlimited. Over it: 413, then the connection closes; on HTTP/2 the stream. A body
    /// that nobody reads is thrown away no further than this, for 5 seconds at most.
    pub fn max_request_body_size(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.max_request_body_size = bytes.into();
        self
    }

    /// How many received bytes may wait for the handler before the server stops reading; default
    /// 1,048,576; `None` is unlimited. At least the larger of a request line and the headers. On HTTP/2 the windows of
    /// [`Http2Limits`] are in its place.
    ///
    /// # Differences from Kestrel
    ///
    /// There the option exists and is no longer read.
    #[track_caller]
    pub fn max_request_buffer_size(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.max_request_buffer_size = bytes.into();
        let problem = Problem::of_range("max_request_buffer_size", self.max_request_buffer_size, ANY);
        self.refuse(problem)
    }

    /// How many bytes of an answer may wait for the client before the handler's writes wait;
    /// default 65,536; `None` is unlimited, 0 waits for each write. On HTTP/2 it is how much is gathered for one write of
    /// all streams.
    ///
    /// # Differences from Kestrel
    ///
    /// There the option exists and is no longer read.
    pub fn max_response_buffer_size(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.max_response_buffer_size = bytes.into();
        self
    }

    /// How long a connection may be idle, before the first request too; default 130 s; `None` is
    /// for ever; more than 0. Then it is closed, with nothing sent; on HTTP/2 with a GOAWAY, and a PING of the client begins
    /// the time anew.
    #[track_caller]
    pub fn keep_alive_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.keep_alive_timeout = timeout.into();
        let problem = Problem::of_time("keep_alive_timeout", self.keep_alive_timeout, SOME_TIME);
        self.refuse(problem)
    }

    /// How long the head of a request may take from its first byte to its empty line; default
    /// 30 s; `None` is for ever; more than 0. Further bytes do not extend it. Then: 408. On HTTP/2 it is the time for a
    /// header block, of trailers too, and then the connection ends with a GOAWAY.
    #[track_caller]
    pub fn request_headers_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.request_headers_timeout = timeout.into();
        let problem = Problem::of_time("request_headers_timeout", self.request_headers_timeout, SOME_TIME);
        self.refuse(problem)
    }

    /// How slowly a request body may come; default 240 bytes a second after 5 s; `None` is
    /// without limit. Only time in which the handler waits for the body counts. Slower: 408.
    pub fn min_request_body_data_rate(mut self, rate: impl Into<Option<MinDataRate>>) -> Self {
        self.min_request_body_data_rate = rate.into();
        self
    }

    /// How slowly a client may take an answer; default 240 bytes a second after 5 s; `None` is
    /// without limit. Slower: the connection is reset; on HTTP/2 the stream.
    pub fn min_response_data_rate(mut self, rate: impl Into<Option<MinDataRate>>) -> Self {
        self.min_response_data_rate = rate.into();
        self
    }

    /// How strictly HTTP/1 is read; default [`Http1Parsing::Compatible`].
    pub fn http1_parsing(mut self, parsing: Http1Parsing) -> Self {
        self.http1_parsing = parsing;
        self
    }

    /// Which octets a header value may have; default [`HeaderValues::Utf8`].
    pub fn header_values(mut self, values: HeaderValues) -> Self {
        self.header_values = values;
        self
    }

    /// Replaces a `Host` that is not the authority of an absolute target (`GET http://a/ HTTP/1.1`)
    /// by that authority, as RFC 9112 section 3.2.2 asks; by default such a request is answered
    /// with 400.
    ///
    /// For a server that clients use as their proxy: there the target says where a request goes, and
    /// who has checked only the `Host` before has checked the wrong one.
    ///
    /// # Differences from Kestrel
    ///
    /// Under `axum::serve` such a request stays a 400: heads pass there as they were sent.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "test-util")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use axum::{Router, http::HeaderMap};
    /// use kestrel_rs::{Limits, test::TestServer};
    ///
    /// let app: Router = Router::new()
    ///     .fallback(|headers: HeaderMap| async move { headers["host"].as_bytes().to_vec() });
    /// let limits = Limits::default().allow_host_header_override();
    /// let server = TestServer::builder(app).limits(limits).start();
    ///
    /// let mut connection = server.connect().await?;
    /// connection.send("GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await?;
    /// assert!(connection.read_to_end().await?.ends_with("\r\n\r\nb.example"));
    /// # Ok(()) }
    /// # #[cfg(not(feature = "test-util"))]
    /// # fn main() {}
    /// ```
    pub fn allow_host_header_override(mut self) -> Self {
        self.allow_host_header_override = true;
        self
    }

    /// Shows the app each path as it was sent.
    ///
    /// By default, on every version of HTTP, the path of a request is written in one way before a route
    /// is looked for (RFC 3986 section 6.2.2): dot segments are removed (`/a/../b` is `/b`) and
    /// percent-encoded octets that may stand as they are do so (`/%61` is `/a`); `%2F`, `%25` and what is
    /// not ASCII stay encoded, and the query is left alone. So a path is what it means to everybody
    /// behind: a rule for `/admin` is not passed by `/x/../admin`. What was sent is in
    /// [`OriginalUri`](axum::extract::OriginalUri).
    ///
    /// # Differences from Kestrel
    ///
    /// There it is always done, and what is not ASCII is decoded too.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Limits;
    ///
    /// // The app is a proxy, which passes paths on as they came.
    /// let limits = Limits::default().without_path_normalization();
    /// assert!(limits.check().is_ok());
    /// ```
    pub fn without_path_normalization(mut self) -> Self {
        self.path_normalization = false;
        self
    }

    /// Adds no `Server` header, to what the server answers by itself (a 400, a 408) as little as to
    /// the answers of handlers, which may have one of their own.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Limits;
    ///
    /// let limits = Limits::default().without_server_header(); // Kestrel's `AddServerHeader = false`
    /// assert!(limits.check().is_ok());
    /// ```
    pub fn without_server_header(mut self) -> Self {
        self.server_header = false;
        self
    }

    /// The limits of HTTP/2.
    pub fn http2(mut self, limits: Http2Limits) -> Self {
        self.problem = self.problem.or_else(|| limits.problem.clone());
        self.http2 = limits;
        self
    }

    /// Whether all values can be: the first that cannot is the error, with the name of the option
    /// and the place where it was given.
    pub fn check(&self) -> Result<(), Error> {
        let error = |what: String| Err(Error::new(ErrorKind::Option, what));
        if let Some(problem) = &self.problem {
            return error(problem.to_string());
        }
        if let Some(buffer) = self.max_request_buffer_size {
            for (name, size) in [
                ("max_request_line_size", self.max_request_line_size),
                ("max_request_headers_total_size", self.max_request_headers_total_size),
            ] {
                let held = match size {
                    Some(size) if size <= buffer => continue,
                    Some(size) => format!("the {size} of {name}; raise the one or lower the other"),
                    None => format!("what {name} of None allows; make both None, or neither"),
                };
                return error(format!("max_request_buffer_size: {buffer} bytes cannot hold {held}"));
            }
        }
        Ok(())
    }

    /// Keeps the first of the problems.
    fn refuse(mut self, problem: Option<Problem>) -> Self {
        self.problem = self.problem.or(problem);
        self
    }
}

/// What a signed 32-bit option of Kestrel holds.
const POSITIVE: (usize, usize) = (1, i32::MAX as usize);
const ANY: (usize, usize) = (1, usize::MAX);
/// Less than any time that a client could keep.
const SOME_TIME: Duration = Duration::from_nanos(1);
