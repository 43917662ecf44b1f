//! The head and the framing of an answer, as they go to the wire (RFC 9112, 4 and 6).

use std::io::Write as _;

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    DATE, HOST, MAX_FORWARDS, SERVER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::time::Instant;

use super::head::Asks;
use crate::text::date;

/// What is said in an answer's head, and how its end is told.
pub(super) struct AnswerHead<'a> {
    pub(super) parts: &'a Parts,
    pub(super) method: &'a Method,
    pub(super) asks: Asks,
    /// Octets of the body, where they are known.
    pub(super) length: Option<u64>,
    /// What becomes of the connection, as far as it is not the answer that decides.
    pub(super) fate: Fate,
    /// A `Server` line is to be there.
    pub(super) names_server: bool,
    pub(super) now: Instant,
}

/// What becomes of a connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    KeepAlive,
    Close,
    Tunnel,
}

/// How the end of an answer's body is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    Length(u64),
    /// With the names of the trailers that the client may get.
    Chunked(Vec<HeaderName>),
    /// By the end of the connection.
    Close,
}

impl Framing {
    /// Octets of the body follow; false if there are more than was said.
    pub(super) fn take(&mut self, octets: usize) -> bool {
        let Self::Length(left) = self else { return true };
        match left.checked_sub(octets as u64) {
            Some(rest) => *left = rest,
            None => return false,
        }
        true
    }
}

/// The Connection lines of an answer.
#[derive(Default)]
struct Options {
    any: bool,
    close: bool,
    keep_alive: bool,
}

impl AnswerHead<'_> {
    /// Adds the head to `out`; says how the body is to be framed, and whether the connection ends behind it.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> (Framing, bool) {
        self.write_status(out);
        let mut length = None;
        let (mut coded, mut dated, mut trailers, mut served) = (false, false, false, !self.names_server);
        let mut options = Options::default();
        for (name, value) in &self.parts.headers {
            match *name {
                CONTENT_LENGTH => length = parse(value.as_bytes()),
                TRANSFER_ENCODING if self.asks.has(Asks::HTTP10) => continue, // RFC 9112 section 6.1
                TRANSFER_ENCODING => coded = true,
                DATE => dated = true,
                TRAILER => trailers = true,
                SERVER => served = true,
                CONNECTION => {
                    options.take(value.as_bytes());
                    continue;
                }
                _ => {}
            }
            line(out, name.as_str().as_bytes(), value.as_bytes());
        }
        let framing = match length.or(self.length) {
            _ if self.has_no_body() => Framing::None,
            _ if coded => Framing::Chunked(self.allowed_trailers(trailers)),
            Some(octets) => {
                if length.is_none() {
                    _ = write!(out, "content-length: {octets}\r\n"); // a Vec takes it
                }
                Framing::Length(octets)
            }
            None if self.asks.has(Asks::HTTP10) => Framing::Close,
            None => {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
                Framing::Chunked(self.allowed_trailers(trailers))
            }
        };
        if !served {
            out.extend_from_slice(b"server: kestrel-rs\r\n");
        }
        let closes = self.write_connection(out, &options, framing == Framing::Close);
        if !dated {
            date::at(self.now, |date| line(out, b"date", date));
        }
        out.extend_from_slice(b"\r\n");
        (framing, closes)
    }

    fn write_status(&self, out: &mut Vec<u8>) {
        let status = self.parts.status;
        let own = self.parts.extensions.get::<ReasonPhrase>();
        if status == StatusCode::OK && own.is_none() {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            return;
        }
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(own.map_or_else(|| reason(status), |own| own.as_bytes()));
        out.extend_from_slice(b"\r\n");
    }

    /// An answer that is read as one without a body, whatever its fields say (RFC 9112 section 6.3).
    fn has_no_body(&self) -> bool {
        let status = self.parts.status;
        status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || *self.method == Method::HEAD
            || *self.method == Method::CONNECT && status.is_success()
    }

    /// Writes the Connection line; whether the connection ends.
    fn write_connection(&self, out: &mut Vec<u8>, options: &Options, until_close: bool) -> bool {
        let stays = self.fate != Fate::Close && !until_close;
        let is_101 = self.parts.status == StatusCode::SWITCHING_PROTOCOLS;
        // As with Kestrel, connection options with no `keep-alive` among them end the connection.
        let ends = options.close || options.any && !options.keep_alive;
        let says_close = match self.fate {
            Fate::Tunnel => false,
            _ if is_101 && stays => !options.any, // one for which there is no tunnel
            _ => !stays || ends,
        };
        let own = self.parts.headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
        if says_close {
            // Beside the handler's own options, in place of its `keep-alive`.
            let options = own.flat_map(|line| line.split(|octet| *octet == b',')).map(<[u8]>::trim_ascii);
            let others = options.filter(|option| !option.is_empty() && !is_about_the_end(option));
            list(out, others.chain([&b"close"[..]]));
        } else if options.any {
            list(out, own);
        } else if self.asks.has(Asks::HTTP10) && self.fate != Fate::Tunnel {
            list(out, [&b"keep-alive"[..]].into_iter());
        }
        says_close || is_101
    }

    /// Trailers go to those who take them, as far as the head names them (RFC 9110 section 6.5).
    fn allowed_trailers(&self, any: bool) -> Vec<HeaderName> {
        if !any || !self.asks.has(Asks::TRAILERS) {
            return Vec::new();
        }
        let lines = self.parts.headers.get_all(TRAILER).iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|octet| *octet == b','));
        names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
    }
}

impl Options {
    fn take(&mut self, value: &[u8]) {
        self.any = true;
        for option in value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

fn is_about_the_end(option: &[u8]) -> bool {
    option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive")
}

/// Adds a Connection line.
fn list<'a>(out: &mut Vec<u8>, options: impl Iterator<Item = &'a [u8]>) {
    let mut separator = &b"connection: "[..];
    for option in options {
        out.extend_from_slice(separator);
        out.extend_from_slice(option);
        separator = b", ";
    }
    out.extend_from_slice(b"\r\n");
}

/// A 103 in front of the answer (RFC 8297).
pub(super) fn early_hints(out: &mut Vec<u8>, headers: &HeaderMap) {
    out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\n");
    for (name, value) in headers {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds the line before a chunk's data.
pub(super) fn chunk_size(out: &mut Vec<u8>, size: usize) {
    _ = write!(out, "{size:X}\r\n"); // a Vec takes it
}

/// Adds the last chunk, and the trailers that the client may get.
pub(super) fn last_chunk(out: &mut Vec<u8>, allowed: &[HeaderName], trailers: Option<&HeaderMap>) {
    out.extend_from_slice(b"0\r\n");
    let may_pass = |name: &HeaderName| allowed.contains(name) && !is_of_head(name);
    for (name, value) in trailers.into_iter().flatten().filter(|(name, _)| may_pass(name)) {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// What counts in a head only: it frames, routes or guards a message (RFC 9110 section 6.5.1).
fn is_of_head(name: &HeaderName) -> bool {
    matches!(
        *name,
        AUTHORIZATION
            | CACHE_CONTROL
            | CONTENT_ENCODING
            | CONTENT_LENGTH
            | CONTENT_RANGE
            | CONTENT_TYPE
            | HOST
            | MAX_FORWARDS
            | SET_COOKIE
            | TE
            | TRAILER
            | TRANSFER_ENCODING
    )
}

#[inline]
fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// `None` for what is no length, which no answer has that was looked at before.
fn parse(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The words of a status, Kestrel's where they are others than http's.
fn reason(status: StatusCode) -> &'static [u8] {
    let words = match status.as_u16() {
        203 => "Non-Authoritative Information",
        306 => "Switch Proxy",
        419 => "Authentication Timeout",
        425 => "",
        499 => "Client Closed Request",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    words.as_bytes()
}
