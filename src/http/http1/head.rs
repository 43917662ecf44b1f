//! The head of a request: request line and header lines (RFC 9112, 3 and 5), judged in the one look that it gets.
//!
//! Nothing here reads or writes: the connection hands over what it received. A refusal comes as early as Kestrel's, so
//! before the head is whole where an octet already decides. What passes is a head that hyper takes and frames alike.
//!
//! # Differences from Kestrel
//!
//! The rows of STRICTNESS.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::field::{Codings, Field, FieldAt, parse_content_length};
use super::memo::Memo;
use crate::http::exchange::host::{is_of_absolute, of_absolute};
use crate::http::exchange::rejection::Rejection;
use crate::http::exchange::target::{self, Form};
use crate::http::rules::HeadRules;
use crate::text::host::is_valid as is_valid_host;
use crate::text::octets::{TOKEN, is};

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
pub(crate) struct Asks(u16);

impl Asks {
    pub(crate) const HTTP10: Self = Self(1);
    /// The connection may stay open after the answer.
    pub(crate) const KEEP_ALIVE: Self = Self(2);
    /// `Connection: upgrade` and no body, not of HTTP/1.0: what may become a tunnel.
    pub(crate) const UPGRADE: Self = Self(4);
    /// The method is CONNECT.
    pub(crate) const CONNECT: Self = Self(8);
    /// The path needs [`normalize`](crate::http::exchange::target::normalize).
    pub(crate) const NORMALIZE: Self = Self(16);
    /// The target is absolute, and its authority takes the place of the Host.
    pub(crate) const HOST_OVERRIDE: Self = Self(256);
    /// The client waits for a 100 before it sends its body.
    pub(crate) const CONTINUE: Self = Self(512);
    /// The client takes trailers.
    pub(crate) const TRAILERS: Self = Self(1024);

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

    #[inline]
    fn set(&mut self, ask: Self, when: bool) {
        self.0 &= !ask.0;
        self.add(ask, when);
    }
}

/// A whole head that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Octets, the empty line included.
    pub(crate) len: usize,
    /// The method stands before it.
    pub(crate) method_end: usize,
    pub(crate) target: Range<usize>,
    pub(crate) body: BodyLength,
    pub(crate) asks: Asks,
    /// The value of a Content-Length that a Transfer-Encoding overrules.
    pub(crate) dropped_content_length: Option<Range<usize>>,
    /// Trailers count on from here.
    pub(crate) header_lines: usize,
    /// Octets of the header lines and the empty line.
    pub(crate) header_octets: usize,
}

/// Reads one head, in as many pieces as it comes.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    /// No line end stands before here that was not dealt with.
    scanned: usize,
    /// Where the line begins that is not whole yet.
    line_at: usize,
    /// Where the header lines begin; 0 before the request line is whole.
    headers_at: usize,
    method_end: usize,
    target: Range<usize>,
    form: Form,
    asks: Asks,
    /// POST or PUT: on HTTP/1.0 these need a length.
    needs_length: bool,
    /// A line of Expect has come.
    expects: bool,
    fields: Vec<FieldAt>,
    memo: Memo,
    host: Option<Range<usize>>,
    content_length: Option<(u64, Range<usize>)>,
    codings: Codings,
}

impl HeadParser {
    /// Begins anew, for the next head.
    pub(crate) fn reset(&mut self) {
        let (mut fields, memo) = (std::mem::take(&mut self.fields), std::mem::take(&mut self.memo));
        fields.clear();
        *self = Self { fields, memo, ..Self::default() };
    }

    /// No octet of the head has been seen.
    pub(crate) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// The header lines of a head that is whole, and what is kept of them for the next.
    pub(super) fn fields(&mut self) -> (&[FieldAt], &mut Memo) {
        (&self.fields, &mut self.memo)
    }

    /// `buf`: all octets of this head that came so far, from the first after empty lines. `None`: not whole yet.
    pub(crate) fn advance(&mut self, buf: &[u8], rules: &HeadRules) -> Result<Option<Head>, Rejection> {
        if self.headers_at == 0 && !self.take_request_line(buf, rules)? {
            return Ok(None);
        }
        let most = self.headers_at.saturating_add(rules.most_header_octets());
        let window = &buf[..buf.len().min(most)];
        loop {
            if self.scanned == self.line_at && self.take_known(window, rules)? {
                continue;
            }
            let Some(end) = memchr(b'\n', &window[self.scanned..]) else { break };
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

    /// What is wrong with a head of which no more comes.
    pub(crate) fn cut_off(&self) -> Rejection {
        if self.headers_at == 0 { Rejection::InvalidRequestLine } else { Rejection::MalformedHeaders }
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
        let target_end = memchr(b' ', rest).ok_or_else(|| without_space(rest))?;
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
        self.asks.add(Asks::NORMALIZE, checked.normalize && rules.normalize_paths);
        self.asks.add(Asks::CONNECT, method == b"CONNECT");
        self.needs_length = matches!(method, b"POST" | b"PUT");
        self.target = method_end + 1..method_end + 1 + target_end;
        self.method_end = method_end;
        Ok(())
    }

    /// Takes a line that stood in its place before; false if it is another.
    #[inline]
    fn take_known(&mut self, window: &[u8], rules: &HeadRules) -> Result<bool, Rejection> {
        let place = self.fields.len();
        if place == rules.max_headers {
            return Ok(false);
        }
        let Some((field, end)) = self.memo.find(place, &window[self.line_at..], self.line_at) else {
            return Ok(false);
        };
        let (name, value) = (&window[field.name.clone()], &window[field.value.clone()]);
        self.heed(name, value, field.value.clone(), rules)?;
        self.fields.push(field);
        (self.line_at, self.scanned) = (end, end);
        Ok(true)
    }

    fn take_field(&mut self, line_at: usize, line: &[u8], rules: &HeadRules) -> Result<(), Rejection> {
        let field = Field::parse(line)?;
        if self.fields.len() == rules.max_headers {
            // A CR in it would have been refused before the line was whole, had it come in pieces.
            let bare_cr = memchr(b'\r', line).is_some();
            return Err(if bare_cr { Rejection::InvalidRequestHeader } else { Rejection::TooManyHeaders });
        }
        field.check_value(rules)?;
        let Field { name, value, value_at } = field;
        let value_at = line_at + value_at;
        let range = value_at..value_at + value.len();
        self.heed(name, value, range.clone(), rules)?;
        self.fields.push(FieldAt { name: line_at..line_at + name.len(), value: range, known: false });
        Ok(())
    }

    /// What a field means for its request.
    #[inline]
    fn heed(
        &mut self,
        name: &[u8],
        value: &[u8],
        range: Range<usize>,
        rules: &HeadRules,
    ) -> Result<(), Rejection> {
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => {
                let mut codings = value.split(|&octet| octet == b',').map(<[u8]>::trim_ascii);
                let trailers = codings.any(|coding| coding.eq_ignore_ascii_case(b"trailers"));
                self.asks.add(Asks::TRAILERS, trailers);
            }
            4 if name.eq_ignore_ascii_case(b"host") => {
                let before = self.host.replace(range);
                if before.is_some() {
                    return Err(Rejection::MultipleHostHeaders);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                if rules.strict && !known {
                    return Err(Rejection::UnknownExpectation);
                }
                // The first line counts, as for Kestrel.
                if !std::mem::replace(&mut self.expects, true) {
                    self.asks.set(Asks::CONTINUE, known);
                }
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.take_connection(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = parse_content_length(value, rules.strict)?;
                if self.content_length.replace((length, range)).is_some() {
                    return Err(Rejection::MultipleContentLengths);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.codings = self.codings.take(value)?;
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
        match self.host.take() {
            None if http10 => {}
            None => return Err(Rejection::MissingHostHeader),
            Some(range) => self.check_host(&buf[range], buf, rules)?,
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
        // HTTP/1.0 has no Upgrade to heed (RFC 9110 section 7.8), and what it chunks may be framed otherwise by others
        // (RFC 9112 section 6.1).
        let upgrade = asks.has(Asks::UPGRADE_TOKEN) && body == BodyLength::None && !http10;
        asks.add(Asks::UPGRADE, upgrade);
        let stays10 = asks.has(Asks::KEEP_ALIVE_TOKEN) && self.codings == Codings::None;
        asks.add(Asks::KEEP_ALIVE, !asks.has(Asks::CLOSE) && (!http10 || stays10));
        if http10 && self.needs_length && !has_length {
            return Err(Rejection::LengthRequiredHttp10);
        }
        Ok(Head {
            len: self.line_at,
            method_end: self.method_end,
            target: self.target.clone(),
            body,
            asks,
            dropped_content_length,
            header_lines: self.fields.len(),
            header_octets: self.line_at - self.headers_at,
        })
    }

    fn check_host(&mut self, value: &[u8], buf: &[u8], rules: &HeadRules) -> Result<(), Rejection> {
        let target = &buf[self.target.clone()];
        let fits = match self.form {
            Form::Origin | Form::Asterisk => true,
            Form::Absolute => is_of_absolute(value, target),
            Form::Authority => value == target,
        };
        if rules.strict && value.is_empty() {
            return Err(Rejection::InvalidHostHeader);
        }
        if fits && (value.is_empty() || is_valid_host(value)) {
            return Ok(());
        }
        let replaced = rules.host_override && self.form == Form::Absolute && of_absolute(target).is_some();
        self.asks.add(Asks::HOST_OVERRIDE, replaced);
        if replaced { Ok(()) } else { Err(Rejection::InvalidHostHeader) }
    }
}

/// What Kestrel answers when nothing separates target and version: it looks for the version two octets into the
/// target. Where it finds one there (`GET /aHTTP/1.1`) it serves the request; we never do.
#[cold]
fn without_space(rest: &[u8]) -> Rejection {
    let unseparated = memchr2(b'?', b'%', rest).is_none();
    match rest.get(2..) {
        Some(b"HTTP/1.1" | b"HTTP/1.0") => Rejection::InvalidRequestLine,
        Some(version) if unseparated && matches!(version.len(), 7 | 8) => Rejection::UnrecognizedHttpVersion,
        _ => Rejection::InvalidRequestLine,
    }
}

/// Counts the CR and LF before a request, which Kestrel skips without end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EmptyLines(usize);

impl EmptyLines {
    pub(crate) fn has_some(self) -> bool {
        self.0 > 0
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Http1Parsing, Limits};

    fn rules() -> HeadRules {
        HeadRules::new(&Limits::default())
    }

    fn strict() -> HeadRules {
        HeadRules::new(&Limits::default().http1_parsing(Http1Parsing::Strict))
    }

    /// The head, or the refusal and how many octets it took.
    fn drip(bytes: &[u8], rules: &HeadRules) -> Result<Option<Head>, (usize, Rejection)> {
        let mut parser = HeadParser::default();
        for len in 1..=bytes.len() {
            if let Some(head) = parser.advance(&bytes[..len], rules).map_err(|why| (len, why))? {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    fn head(text: &str, rules: &HeadRules) -> Result<Head, Rejection> {
        HeadParser::default().advance(text.as_bytes(), rules).map(|head| head.expect("a whole head"))
    }

    #[test]
    fn sees_the_same_for_every_split() {
        let one_too_many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}X: a\rb\r\n\r\n", "X: 1\r\n".repeat(99));
        for text in [
            &one_too_many,
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a%2e?b HTTP/1.0\nConnection: keep-alive\n\n",
            "POST /  HTTP/1.1\r\nHost:a\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\nX:\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        ] {
            let bytes = text.as_bytes();
            let whole = HeadParser::default().advance(bytes, &rules());
            assert_eq!(drip(bytes, &rules()).map_err(|(_, why)| why), whole, "{text:?}");
            for split in 1..bytes.len() {
                let mut parser = HeadParser::default();
                let seen = match parser.advance(&bytes[..split], &rules()) {
                    Ok(None) => parser.advance(bytes, &rules()),
                    decided => decided,
                };
                assert_eq!(seen, whole, "{text:?} at {split}");
            }
        }
    }

    #[test]
    fn refuses_as_soon_as_it_can() {
        let at = |text: &str| drip(text.as_bytes(), &rules()).unwrap_err();
        assert_eq!(at("\x16\x03\x01"), (1, Rejection::TlsOverHttp));
        assert_eq!(at("GE\0T / HTTP/1.1\r\n"), (3, Rejection::InvalidRequestLine));
        assert_eq!(at("GET * HTTP/1.1\r\nHost"), (16, Rejection::OptionsMethodRequired));
        assert_eq!(at("GET a:1 HTTP/1.1\r\nHost"), (18, Rejection::ConnectMethodRequired));
        assert_eq!(at("GET / HTTP/1.2\r\nHost"), (16, Rejection::UnrecognizedHttpVersion));
        assert_eq!(at("GET / HTTP/1.1\r\nX: a\rb"), (22, Rejection::InvalidRequestHeader));
        assert_eq!(at("GET / HTTP/1.1\r\n\rb"), (18, Rejection::InvalidRequestHeadersNoCrLf));
        assert_eq!(at(&"a".repeat(9000)), (8192, Rejection::RequestLineTooLong));
        let total = format!("GET / HTTP/1.1\r\n{}", "a".repeat(40_000));
        assert_eq!(at(&total), (16 + 32_768 + 3, Rejection::HeadersExceedMaxTotalSize));
    }

    #[test]
    fn holds_the_limits_to_the_octet() {
        let limits = |line, total, count| {
            HeadRules::new(
                &Limits::default()
                    .max_request_line_size(line)
                    .max_request_headers_total_size(total)
                    .max_request_header_count(count),
            )
        };
        let text = "POST /abc/de HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
        assert_eq!(head(text, &limits(23, 15, 2)).map(|head| head.header_octets), Ok(17));
        assert_eq!(head(text, &limits(22, 15, 2)), Err(Rejection::RequestLineTooLong));
        assert_eq!(head(text, &limits(23, 14, 2)), Err(Rejection::HeadersExceedMaxTotalSize));
        assert_eq!(head(text, &limits(23, 15, 1)), Err(Rejection::TooManyHeaders));
    }

    #[test]
    fn says_what_the_head_asks_for() {
        let asks =
            |lines: &str| head(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"), &rules()).unwrap().asks;
        assert!(asks("").has(Asks::KEEP_ALIVE));
        assert!(!asks("Connection: keep-alive, Close\r\n").has(Asks::KEEP_ALIVE));
        assert!(!asks("Connection: close\r\nConnection: keep-alive\r\n").has(Asks::KEEP_ALIVE));
        assert!(asks("connection: x,UPGRADE\r\n").has(Asks::UPGRADE));
        assert!(asks("Connection: upgrade\r\nContent-Length: 0\r\n").has(Asks::UPGRADE));
        assert!(!asks("Connection: upgrade\r\nContent-Length: 1\r\n").has(Asks::UPGRADE));
        assert!(!asks("Connection: upgrade\r\nTransfer-Encoding: chunked\r\n").has(Asks::UPGRADE));
        assert!(!head("GET / HTTP/1.0\r\n\r\n", &rules()).unwrap().asks.has(Asks::KEEP_ALIVE));
        assert!(
            head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &rules())
                .unwrap()
                .asks
                .has(Asks::KEEP_ALIVE)
        );

        let text = "POST /%61 HTTP/1.0\r\nContent-Length:  7 \r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n";
        let seen = head(text, &rules()).unwrap();
        assert_eq!(seen.body, BodyLength::Chunked);
        assert!(seen.asks.has(Asks::CONTINUE));
        assert_eq!(&text[seen.dropped_content_length.unwrap()], "7");
        assert!(seen.asks.has(Asks::NORMALIZE) && seen.asks.has(Asks::HTTP10));
        assert_eq!(head("PUT / HTTP/1.0\r\n\r\n", &rules()), Err(Rejection::LengthRequiredHttp10));
        assert!(head("PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", &rules()).is_ok());
    }

    #[test]
    fn refuses_more_when_strict() {
        for (lines, why) in [
            ("Host: a\nX: y\r\n", Rejection::InvalidRequestHeader),
            ("Host:\r\n", Rejection::InvalidHostHeader),
            ("Host: a\r\nExpect: x\r\n", Rejection::UnknownExpectation),
            ("Host: a\r\nContent-Length: 01\r\n", Rejection::InvalidContentLength),
            (
                "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                Rejection::LengthAndTransferCoding,
            ),
        ] {
            let text = format!("GET / HTTP/1.1\r\n{lines}\r\n");
            assert_eq!(head(&text, &strict()), Err(why), "{lines}");
            assert!(head(&text, &rules()).is_ok(), "{lines}");
        }
        assert_eq!(head("GET / HTTP/1.1\nHost: a\r\n\r\n", &strict()), Err(Rejection::InvalidRequestLine));
        assert_eq!(head("GET / HTTP/1.1\r\nHost: a\r\n\n", &strict()), Err(Rejection::InvalidRequestHeader));
    }

    #[test]
    fn counts_empty_lines() {
        let mut lines = EmptyLines::default();
        assert_eq!(lines.advance(b"\r\r\n\nGET", &rules()), Ok(4));
        assert_eq!(EmptyLines::default().advance(b"\r\nGET", &strict()), Ok(2));
        assert_eq!(EmptyLines::default().advance(b"\r", &strict()), Ok(1));
        for text in ["\n", "\r\n\r", "\rG"] {
            assert!(EmptyLines::default().advance(text.as_bytes(), &strict()).is_err(), "{text:?}");
        }
        let mut lines = EmptyLines::default();
        assert_eq!(lines.advance(&b"\n".repeat(8192), &rules()), Ok(8192));
        assert_eq!(lines.advance(b"\n", &rules()), Err(Rejection::InvalidRequestLine));
    }
}
