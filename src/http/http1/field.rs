//! One header line, and the values that decide about framing.

use std::ops::Range;

use memchr::memchr;

use crate::http::exchange::rejection::Rejection;
use crate::http::rules::HeadRules;
use crate::text::content_length;
use crate::text::octets::{TOKEN, is};

/// The longest name that `http::HeaderName` takes.
pub(super) const LONGEST_NAME: usize = 65_535;

/// A header or trailer line without its line end.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    /// Without white space on both sides.
    pub(super) value: &'a [u8],
    pub(super) value_at: usize,
}

/// Where a header line stands in its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldAt {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
    /// Its line stood in its place before.
    pub(super) known: bool,
}

impl<'a> Field<'a> {
    #[inline]
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Rejection> {
        let end = line.iter().position(|&octet| !is(octet, TOKEN)).unwrap_or(line.len());
        if end == 0 || end > LONGEST_NAME || line.get(end) != Some(&b':') {
            return Err(match line.get(end) {
                Some(b'\r') if end == 0 => Rejection::InvalidRequestHeadersNoCrLf,
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
    pub(super) fn check_value(&self, rules: &HeadRules) -> Result<(), Rejection> {
        // Eight octets at a time: most values are too short for vectors.
        let (words, rest) = self.value.as_chunks::<8>();
        let mut last = [b' '; 8];
        last[..rest.len()].copy_from_slice(rest);
        let (mut suspect, mut high) = (0, 0);
        for word in words.iter().chain([&last]) {
            let word = u64::from_le_bytes(*word);
            suspect |= has_control(word);
            high |= word & HIGH_BITS;
        }
        // HTAB is a control too, and so rare that it may be looked at again.
        if suspect != 0 && self.value.iter().any(|&octet| octet.is_ascii_control() && octet != b'\t') {
            let bare_cr = memchr(b'\r', self.value).is_some();
            return Err(if bare_cr { Rejection::InvalidRequestHeader } else { Rejection::MalformedHeaders });
        }
        if high != 0 && rules.utf8_values && std::str::from_utf8(self.value).is_err() {
            return Err(Rejection::MalformedHeaders);
        }
        Ok(())
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Not 0 if an octet of the word is below 0x20 or 0x7F; never 0 wrongly.
#[inline]
fn has_control(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is_del = word ^ (ONES * 0x7F);
    (word.wrapping_sub(ONES * 0x20) & !word | is_del.wrapping_sub(ONES) & !is_del) & HIGH_BITS
}

/// 1*DIGIT up to `i64::MAX`, as Kestrel holds it.
pub(super) fn parse_content_length(value: &[u8], strict: bool) -> Result<u64, Rejection> {
    if strict && value.len() > 1 && value[0] == b'0' {
        return Err(Rejection::InvalidContentLength);
    }
    content_length(value).ok_or(Rejection::InvalidContentLength)
}

/// The codings of all Transfer-Encoding lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Codings {
    #[default]
    None,
    Chunked,
    /// The last one is not `chunked`; the flag: one before was.
    Other {
        chunked_before: bool,
    },
}

impl Codings {
    /// Adds one Transfer-Encoding line (RFC 9112, 6.1). `chunked` may stand once, at the end; white space around it is
    /// a space, as for Kestrel, and nothing may follow it, not even a comma, as for hyper.
    pub(super) fn take(self, value: &[u8]) -> Result<Self, Rejection> {
        let mut codings = self;
        for coding in value.split(|&octet| octet == b',') {
            let chunked_before = match codings {
                Codings::None => false,
                Codings::Chunked => true,
                Codings::Other { chunked_before } => chunked_before,
            };
            // With any other white space around it Kestrel does not take it for `chunked`, but others do.
            // hyper reads nothing of a line that has octets above 0x7F.
            let is_chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if is_chunked && chunked_before {
                return Err(Rejection::ChunkedTwice);
            }
            codings = if is_chunked && memchr(b'\t', coding).is_none() && value.is_ascii() {
                Codings::Chunked
            } else {
                Codings::Other { chunked_before: chunked_before || is_chunked }
            };
        }
        Ok(codings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_chunked_once_and_last() {
        let all = |lines: &[&str]| {
            lines.iter().try_fold(Codings::None, |codings, line| codings.take(line.as_bytes()))
        };
        for lines in
            [&["chunked"][..], &["gzip, chunked"], &["gzip", "Chunked"], &[",chunked"], &[" chunked "]]
        {
            assert_eq!(all(lines), Ok(Codings::Chunked), "{lines:?}");
        }
        for lines in [
            &["chunked, chunked"][..],
            &["chunked", "chunked"],
            &["chunked", "gzip", "chunked"],
            &["chunked,\tchunked"],
        ] {
            assert_eq!(all(lines), Err(Rejection::ChunkedTwice), "{lines:?}");
        }
        for lines in [
            &[""][..],
            &["chunked,"],
            &["chunked", "gzip"],
            &["gzip,\tchunked"],
            &["xchunked"],
            &["chunked;q=1"],
            &["\u{e9}, chunked"],
            &["chunked", ""],
        ] {
            assert!(matches!(all(lines), Ok(Codings::Other { .. })), "{lines:?}");
        }
    }

    #[test]
    fn reads_lengths_up_to_63_bits() {
        assert_eq!(parse_content_length(b"005", false), Ok(5));
        assert_eq!(parse_content_length(b"9223372036854775807", true), Ok(i64::MAX as u64));
        assert_eq!(parse_content_length(b"0", true), Ok(0));
        for value in ["", "+5", "-0", "5,5", "5 5", "0x5", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(parse_content_length(value.as_bytes(), false), Err(Rejection::InvalidContentLength));
        }
        assert_eq!(parse_content_length(b"005", true), Err(Rejection::InvalidContentLength));
    }

    #[test]
    fn finds_controls_anywhere() {
        let rules = HeadRules::new(&crate::limits::Limits::default());
        for octet in 0..=0xFF_u8 {
            for at in 0..20 {
                let mut line = *b"X: aaaaaaaaaaaaaaaaaaaaaaa";
                line[3 + at] = octet;
                let good = octet == b'\t' || (b' '..0x7F).contains(&octet);
                assert_eq!(
                    Field::parse(&line).unwrap().check_value(&rules).is_ok(),
                    good,
                    "{octet:#x} at {at}"
                );
            }
        }
    }
}
