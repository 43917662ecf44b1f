//! The head of a request: request line and header lines (RFC 9112, 3 and 5), judged before hyper sees them.
//!
//! Nothing here reads or writes: the gate hands over what it received. A refusal comes as early as Kestrel's, so
//! before the head is whole where an octet already decides. What passes is a head that hyper takes and frames alike.
//!
//! # Differences from Kestrel
//!
//! The rows of STRICTNESS.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::host;
use super::octets::{TOKEN, is};
use super::rejection::Rejection;
use super::target::{self, Form};
use crate::limits::{HeaderValues, Http1Parsing, Limits};

/// `http::HeaderMap` has room for 24,576 names and panics over it.
const MOST_HEADERS: usize = 24_000;

/// The longest name that `http::HeaderName` takes.
pub(super) const LONGEST_NAME: usize = 65_535;

/// The limits and switches that the parser needs, taken once a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadRules {
    pub(crate) max_line: usize,
    pub(crate) max_headers_total: usize,
    pub(crate) max_headers: usize,
    pub(crate) strict: bool,
    pub(crate) utf8_values: bool,
}

impl HeadRules {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            max_line: limits.max_request_line_size,
            max_headers_total: limits.max_request_headers_total_size,
            max_headers: limits.max_request_header_count.min(MOST_HEADERS),
            strict: limits.http1_parsing == Http1Parsing::Strict,
            utf8_values: limits.header_values == HeaderValues::Utf8,
        }
    }

    /// Octets of header lines, trailers and both empty lines: Kestrel counts the empty line of the head as two.
    pub(super) fn most_header_octets(&self) -> usize {
        self.max_headers_total.saturating_add(2)
    }
}

/// How the body after a head is framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyLength {
    #[default]
    None,
    /// Never 0, never more than `i64::MAX`.
    Length(u64),
    Chunked,
}

/// What a head asks for beside its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks(u8);

impl Asks {
    pub(crate) const HTTP10: Self = Self(1);
    /// The connection may stay open after the answer.
    pub(crate) const KEEP_ALIVE: Self = Self(2);
    /// `Connection: upgrade` and no body: what Kestrel calls upgradable.
    pub(crate) const UPGRADE: Self = Self(4);
    /// The method is CONNECT.
    pub(crate) const CONNECT: Self = Self(8);
    /// The path needs [`normalize`](super::target::normalize).
    pub(crate) const NORMALIZE: Self = Self(16);

    const CLOSE: Self = Self(32);
    const UPGRADE_TOKEN: Self = Self(64);
    const KEEP_ALIVE_TOKEN: Self = Self(128);

    #[inline]
    pub(crate) fn has(self, ask: Self) -> bool {
        self.0 & ask.0 != 0
    }

    #[inline]
    fn add(&mut self, ask: Self, when: bool) {
        self.0 |= if when { ask.0 } else { 0 };
    }
}

/// A whole head that hyper will take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Octets, the empty line included.
    pub(crate) len: usize,
    /// Where the last digit of `HTTP/1.1` stands.
    pub(crate) minor_version_at: usize,
    pub(crate) body: BodyLength,
    pub(crate) asks: Asks,
    /// Where the value `100-continue` (12 octets) stands that hyper would answer with 100.
    pub(crate) expect_continue_at: Option<usize>,
    /// The value of a Content-Length beside Transfer-Encoding: hyper drops that field.
    pub(crate) dropped_content_length: Option<Range<usize>>,
    /// Trailers count on from here.
    pub(crate) header_lines: usize,
    /// Octets of the header lines and the empty line.
    pub(crate) header_octets: usize,
}

/// The codings of all Transfer-Encoding lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Codings {
    #[default]
    None,
    Chunked,
    /// The last one is not `chunked`; the flag: one before it was.
    Other {
        chunked_before: bool,
    },
}

/// Reads one head, in as many pieces as it comes. A fresh one for each request.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    /// No line end stands before here that was not dealt with.
    scanned: usize,
    /// Where the line begins that is not whole yet.
    line_at: usize,
    /// Where the header lines begin; 0 before the request line is whole.
    headers_at: usize,
    minor_version_at: usize,
    target: Range<usize>,
    form: Form,
    asks: Asks,
    /// POST or PUT: on HTTP/1.0 these need a length.
    needs_length: bool,
    lines: usize,
    host: Option<Range<usize>>,
    content_length: Option<(u64, Range<usize>)>,
    codings: Codings,
    expect_continue_at: Option<usize>,
}

impl HeadParser {
    /// `buf`: all octets of this head that came so far, from the first after empty lines. `None`: not whole yet.
    pub(crate) fn advance(&mut self, buf: &[u8], rules: &HeadRules) -> Result<Option<Head>, Rejection> {
        if self.headers_at == 0 && !self.take_request_line(buf, rules)? {
            return Ok(None);
        }
        let most = self.headers_at.saturating_add(rules.most_header_octets());
        let window = &buf[..buf.len().min(most)];
        while let Some(end) = memchr(b'\n', &window[self.scanned..]) {
            let end = self.scanned + end;
            let line_at = self.line_at;
            let line = &window[line_at..end];
            (self.line_at, self.scanned) = (end + 1, end + 1);
            match line {
                [line @ .., b'\r'] if !line.is_empty() => self.take_field(line_at, line, rules)?,
                [b'\r'] => return self.finish(buf, rules).map(Some),
                _ if rules.strict => return Err(Rejection::InvalidRequestHeader),
                [] => return self.finish(buf, rules).map(Some),
                line => self.take_field(line_at, line, rules)?,
            }
        }
        // A CR that no LF follows is refused without waiting for the rest of its line.
        let from = self.scanned.saturating_sub(1).max(self.line_at);
        if let Some(cr) = memchr(b'\r', &window[from..])
            && from + cr + 1 < window.len()
        {
            let at_start = from + cr == self.line_at;
            return Err(if at_start {
                Rejection::InvalidRequestHeadersNoCrLf
            } else {
                Rejection::InvalidRequestHeader
            });
        }
        if buf.len() > most {
            return Err(Rejection::HeadersExceedMaxTotalSize);
        }
        self.scanned = window.len();
        Ok(None)
    }

    /// Whether the end of the request line has not come yet.
    pub(crate) fn in_request_line(&self) -> bool {
        self.headers_at == 0
    }

    fn take_request_line(&mut self, buf: &[u8], rules: &HeadRules) -> Result<bool, Rejection> {
        if buf.first() == Some(&0x16) {
            return Err(Rejection::TlsOverHttp);
        }
        let window = &buf[..buf.len().min(rules.max_line)];
        let Some(end) = memchr2(b'\n', 0, &window[self.scanned..]) else {
            if buf.len() >= rules.max_line {
                return Err(Rejection::RequestLineTooLong);
            }
            self.scanned = window.len();
            return Ok(false);
        };
        let end = self.scanned + end;
        let line = match &window[..end] {
            _ if window[end] == 0 => return Err(Rejection::InvalidRequestLine),
            [line @ .., b'\r'] => line,
            _ if rules.strict => return Err(Rejection::InvalidRequestLine),
            line => line,
        };
        self.parse_request_line(line, rules)?;
        (self.headers_at, self.line_at, self.scanned) = (end + 1, end + 1, end + 1);
        Ok(true)
    }

    fn parse_request_line(&mut self, line: &[u8], rules: &HeadRules) -> Result<(), Rejection> {
        let invalid = Rejection::InvalidRequestLine;
        let method_end = line.iter().position(|&octet| !is(octet, TOKEN)).ok_or(invalid)?;
        let (method, rest) = line.split_at(method_end);
        let [b' ', rest @ ..] = rest else { return Err(invalid) };
        let target_end = memchr(b' ', rest).ok_or(invalid)?;
        let (target, version) = rest.split_at(target_end);
        if method.is_empty() || matches!(target.first(), None | Some(b'?' | b'%')) {
            return Err(invalid);
        }
        let spaces = version.iter().position(|&octet| octet != b' ').unwrap_or(version.len());
        match &version[spaces..] {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.asks.add(Asks::HTTP10, true),
            version if version.len() == 8 => return Err(Rejection::UnrecognizedHttpVersion),
            _ => return Err(invalid),
        }
        let checked = target::check(method, target, rules.strict)?;
        self.form = checked.form;
        self.asks.add(Asks::NORMALIZE, checked.normalize);
        self.asks.add(Asks::CONNECT, method == b"CONNECT");
        self.needs_length = matches!(method, b"POST" | b"PUT");
        self.target = method_end + 1..method_end + 1 + target_end;
        self.minor_version_at = line.len() - 1;
        Ok(())
    }

    fn take_field(&mut self, line_at: usize, line: &[u8], rules: &HeadRules) -> Result<(), Rejection> {
        let field = Field::parse(line)?;
        self.lines += 1;
        if self.lines > rules.max_headers {
            return Err(Rejection::TooManyHeaders);
        }
        field.check_value(rules)?;
        let Field { name, value, value_at } = field;
        let value_at = line_at + value_at;
        let range = value_at..value_at + value.len();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                if self.host.replace(range).is_some() {
                    return Err(Rejection::MultipleHostHeaders);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                if rules.strict && !known {
                    return Err(Rejection::UnknownExpectation);
                }
                // hyper looks at the last line.
                self.expect_continue_at = known.then_some(value_at);
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = parse_content_length(value, rules.strict)?;
                if self.content_length.replace((length, range)).is_some() {
                    return Err(Rejection::MultipleContentLengths);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.codings = take_codings(self.codings, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8]) {
        for token in value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii) {
            self.asks.add(Asks::CLOSE, token.eq_ignore_ascii_case(b"close"));
            self.asks.add(Asks::KEEP_ALIVE_TOKEN, token.eq_ignore_ascii_case(b"keep-alive"));
            self.asks.add(Asks::UPGRADE_TOKEN, token.eq_ignore_ascii_case(b"upgrade"));
        }
    }

    fn finish(&mut self, buf: &[u8], rules: &HeadRules) -> Result<Head, Rejection> {
        let http10 = self.asks.has(Asks::HTTP10);
        match &self.host {
            None if http10 => {}
            None => return Err(Rejection::MissingHostHeader),
            Some(range) => self.check_host(&buf[range.clone()], buf, rules.strict)?,
        }
        let has_length = self.content_length.is_some() || self.codings != Codings::None;
        let mut dropped_content_length = None;
        let body = match (self.codings, self.content_length.take()) {
            (Codings::Other { .. }, _) => return Err(Rejection::FinalTransferCodingNotChunked),
            (Codings::Chunked, Some(_)) if rules.strict => return Err(Rejection::LengthAndTransferCoding),
            (Codings::Chunked, length) => {
                dropped_content_length = length.map(|(_, range)| range);
                BodyLength::Chunked
            }
            (Codings::None, None | Some((0, _))) => BodyLength::None,
            (Codings::None, Some((length, _))) => BodyLength::Length(length),
        };
        let mut asks = self.asks;
        let upgrade = asks.has(Asks::UPGRADE_TOKEN) && body == BodyLength::None;
        asks.add(Asks::UPGRADE, upgrade);
        let keep_alive = !asks.has(Asks::CLOSE) && (!http10 || asks.has(Asks::KEEP_ALIVE_TOKEN));
        asks.add(Asks::KEEP_ALIVE, keep_alive);
        if http10 && self.needs_length && !upgrade && !has_length {
            return Err(Rejection::LengthRequiredHttp10);
        }
        Ok(Head {
            len: self.line_at,
            minor_version_at: self.minor_version_at,
            body,
            asks,
            expect_continue_at: self.expect_continue_at,
            dropped_content_length,
            header_lines: self.lines,
            header_octets: self.line_at - self.headers_at,
        })
    }

    fn check_host(&self, value: &[u8], buf: &[u8], strict: bool) -> Result<(), Rejection> {
        let target = &buf[self.target.clone()];
        let fits = match self.form {
            Form::Origin | Form::Asterisk => true,
            Form::Absolute => host::is_of_absolute(value, target),
            Form::Authority => value == target,
        };
        if fits && host::is_valid(value) && !(strict && value.is_empty()) {
            Ok(())
        } else {
            Err(Rejection::InvalidHostHeader)
        }
    }
}

/// A header or trailer line without its line end.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// Without white space on both sides.
    pub(super) value: &'a [u8],
    value_at: usize,
}

impl<'a> Field<'a> {
    #[inline]
    fn parse(line: &'a [u8]) -> Result<Self, Rejection> {
        let end = line.iter().position(|&octet| !is(octet, TOKEN)).unwrap_or(line.len());
        if end == 0 || end > LONGEST_NAME || line.get(end) != Some(&b':') {
            return Err(match line.get(end) {
                Some(0 | 0x80..) => Rejection::InvalidCharactersInHeaderName,
                _ => Rejection::InvalidRequestHeader,
            });
        }
        let (name, value) = (&line[..end], &line[end + 1..]);
        let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
        let skipped = value.iter().position(|octet| !is_space(octet)).unwrap_or(value.len());
        let value = &value[skipped..];
        let kept = value.iter().rposition(|octet| !is_space(octet)).map_or(0, |last| last + 1);
        Ok(Self { name, value: &value[..kept], value_at: end + 1 + skipped })
    }

    #[inline]
    fn check_value(&self, rules: &HeadRules) -> Result<(), Rejection> {
        // Folded without a branch, so that the compiler makes vectors of it.
        let (mut control, mut high) = (false, 0);
        for &octet in self.value {
            control |= (octet < b' ' && octet != b'\t') | (octet == 0x7F);
            high |= octet;
        }
        if control {
            let bare_cr = memchr(b'\r', self.value).is_some();
            return Err(if bare_cr { Rejection::InvalidRequestHeader } else { Rejection::MalformedHeaders });
        }
        if high >= 0x80 && rules.utf8_values && std::str::from_utf8(self.value).is_err() {
            return Err(Rejection::MalformedHeaders);
        }
        Ok(())
    }
}

/// 1*DIGIT up to `i64::MAX`, as Kestrel holds it.
fn parse_content_length(value: &[u8], strict: bool) -> Result<u64, Rejection> {
    if value.is_empty() || strict && value.len() > 1 && value[0] == b'0' {
        return Err(Rejection::InvalidContentLength);
    }
    value
        .iter()
        .try_fold(0_u64, |length, octet| {
            let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        })
        .filter(|&length| i64::try_from(length).is_ok())
        .ok_or(Rejection::InvalidContentLength)
}

/// Adds one Transfer-Encoding line (RFC 9112, 6.1). `chunked` may stand once, at the end; white space around it is
/// a space, as for Kestrel, and nothing may follow it, not even a comma, as for hyper.
fn take_codings(before: Codings, value: &[u8]) -> Result<Codings, Rejection> {
    let mut codings = before;
    for coding in value.split(|&octet| octet == b',') {
        let chunked_before = match codings {
            Codings::None => false,
            Codings::Chunked => true,
            Codings::Other { chunked_before } => chunked_before,
        };
        // With any other white space around it Kestrel does not take it for `chunked`, but others do.
        let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        if is_chunked && chunked_before {
            return Err(Rejection::ChunkedTwice);
        }
        codings = if is_chunked && memchr(b'\t', coding).is_none() {
            Codings::Chunked
        } else {
            Codings::Other { chunked_before: chunked_before || is_chunked }
        };
    }
    Ok(codings)
}

/// Counts the CR and LF before a request, which Kestrel skips without end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EmptyLines(usize);

impl EmptyLines {
    /// How many octets at the start of `buf` are empty lines.
    pub(crate) fn advance(&mut self, buf: &[u8], rules: &HeadRules) -> Result<usize, Rejection> {
        let most = if rules.strict { 2 } else { rules.max_line };
        let mut octets = 0;
        while let Some(&octet @ (b'\r' | b'\n')) = buf.get(octets) {
            let expected = if self.0 == 0 { b'\r' } else { b'\n' };
            if self.0 == most || rules.strict && octet != expected {
                return Err(Rejection::InvalidRequestLine);
            }
            self.0 += 1;
            octets += 1;
        }
        // A CR alone is no empty line.
        if rules.strict && self.0 == 1 && octets < buf.len() {
            return Err(Rejection::InvalidRequestLine);
        }
        Ok(octets)
    }
}
