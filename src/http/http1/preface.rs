//! Which version of HTTP a connection begins with: HTTP/2 has a preface, everything else is HTTP/1.

use crate::http::exchange::rejection::Rejection;
use crate::http::rules::Rules;

pub(super) enum Sniffed {
    Http1,
    Http2,
    /// Too early to tell, or refused.
    TooShort,
}

/// The client preface of RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Looks at the first octets of a connection, of which there is at least one; `eof`: no more come.
pub(super) fn sniff(octets: &[u8], eof: bool, rules: &Rules) -> Result<Sniffed, Rejection> {
    let seen = octets.len().min(PREFACE.len());
    if octets[..seen] == PREFACE[..seen] && !eof {
        return match (seen == PREFACE.len(), rules.http2) {
            // Nothing else is spoken: HTTP/2 waits for the rest, in its own time.
            (false, true) if !rules.http1 => Ok(Sniffed::Http2),
            (false, _) => Ok(Sniffed::TooShort),
            (true, true) => Ok(Sniffed::Http2),
            (true, false) => Err(Rejection::Http2Preface),
        };
    }
    if rules.http1 {
        return Ok(Sniffed::Http1);
    }
    // Whoever speaks HTTP/1 to an endpoint of HTTP/2 gets words; anybody else a GOAWAY.
    match memchr::memchr(b'\n', &octets[..octets.len().min(rules.head.max_line)]) {
        Some(end) if is_http1_line(&octets[..end]) => Err(Rejection::Http1OnHttp2Endpoint),
        None if octets.len() < rules.head.max_line && !eof => Ok(Sniffed::TooShort),
        _ => Ok(Sniffed::Http2),
    }
}

/// Whether a line ends with a version of HTTP/1.
fn is_http1_line(line: &[u8]) -> bool {
    let last = line.trim_ascii_end().rsplit(|octet| *octet == b' ').next();
    last.is_some_and(|version| version.starts_with(b"HTTP/1."))
}
