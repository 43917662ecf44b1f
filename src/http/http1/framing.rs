//! The body of a request (RFC 9112, 6 and 7): what of it is data, and where it ends.
//!
//! ```text
//! 5;a=b CRLF hello CRLF 0 CRLF X: y CRLF CRLF
//! ```
//!
//! Whatever passes here hyper frames alike, which the tests hold it to. hyper takes more (white space after a size, any extension, any size of 64 bits)
//! and counts less.
//!
//! # Differences from Kestrel
//!
//! STRICTNESS `chunk-size-overflow`, `chunk-extension-grammar`, `chunk-extension-budget`, `chunk-end-lf`,
//! `request-trailer-utf8`; and a bare LF never ends a trailer line, because hyper reads on until a CR.

use super::field::LONGEST_NAME;
use super::head::{BodyLength, Head};
use crate::http::exchange::rejection::Rejection;
use crate::http::rules::HeadRules;
use crate::text::octets::{TOKEN, is};

/// Of extensions in one body; hyper breaks off at 16 KiB, counted a little more kindly.
const MOST_EXTENSION_OCTETS: u32 = 16 * 1024 - 1;

/// How far the body of one request has come.
#[derive(Clone, Debug)]
pub(crate) struct BodyFraming {
    state: State,
    framing_octets: u64,
    extension_octets: u32,
    header_lines: usize,
    header_octets: usize,
}

/// What comes next of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) framing: usize,
    pub(crate) data: usize,
}

/// What a piece of input was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advance {
    /// How many octets belong to this body; all that was given, unless it is done.
    pub(crate) octets: usize,
    pub(crate) done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Octets left of a body with a length.
    Length(u64),
    Size {
        digits: u8,
        value: u32,
    },
    Extension {
        state: Extension,
        size: u32,
    },
    /// After the CR of a size line.
    SizeLf {
        size: u32,
    },
    Data(u32),
    DataCr,
    DataLf,
    /// At the start of a line after the last chunk.
    Line {
        first: bool,
    },
    /// After the CR of the empty line.
    EndLf {
        first: bool,
    },
    Name {
        octets: usize,
    },
    Value(Utf8),
    ValueLf,
    Done,
}

/// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Token,
    Quoted,
    QuotedPair,
    AfterValue,
}

/// What of a UTF-8 sequence is still to come (RFC 3629, 4): how many octets, and between what the next lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Utf8 {
    missing: u8,
    low: u8,
    high: u8,
}

impl BodyFraming {
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            state: match head.body {
                BodyLength::None => State::Done,
                BodyLength::Length(length) => State::Length(length),
                BodyLength::Chunked => State::Size { digits: 0, value: 0 },
            },
            framing_octets: 0,
            extension_octets: 0,
            header_lines: head.header_lines,
            header_octets: head.header_octets,
        }
    }

    /// Looks at the next octets: so many that are framing, then so many of data, which end the look. An error comes with
    /// the number of octets before the fault. The lines of trailers are added to `trailers` as they came.
    pub(crate) fn next(
        &mut self,
        buf: &[u8],
        rules: &HeadRules,
        trailers: &mut Vec<u8>,
    ) -> Result<Part, (usize, Rejection)> {
        let mut at = 0;
        while at < buf.len() {
            let left = buf.len() - at;
            match &mut self.state {
                State::Length(missing) => {
                    let data = left.min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    *missing -= data as u64;
                    if *missing == 0 {
                        self.state = State::Done;
                    }
                    return Ok(Part { framing: at, data });
                }
                State::Data(missing) => {
                    let data = left.min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    // At most what was missing, so it fits.
                    *missing -= u32::try_from(data).unwrap_or(*missing);
                    if *missing == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Part { framing: at, data });
                }
                State::Done => break,
                _ => {
                    self.state = self.step(buf[at], rules).map_err(|rejection| (at, rejection))?;
                    if self.state.is_trailer() {
                        trailers.push(buf[at]);
                    }
                    at += 1;
                }
            }
        }
        Ok(Part { framing: at, data: 0 })
    }

    /// Where the body stands after these octets, with nothing kept; an error as that of [`next`](Self::next).
    pub(crate) fn advance(&mut self, buf: &[u8], rules: &HeadRules) -> Result<Advance, (usize, Rejection)> {
        let mut octets = 0;
        while octets < buf.len() && !self.is_done() {
            let part = self.next(&buf[octets..], rules, &mut Vec::new());
            let part = part.map_err(|(at, rejection)| (octets + at, rejection))?;
            octets += part.framing + part.data;
        }
        Ok(Advance { octets, done: self.is_done() })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Octets to come of a body with a length.
    pub(crate) fn missing(&self) -> Option<u64> {
        match self.state {
            State::Length(missing) => Some(missing),
            _ => None,
        }
    }

    /// Octets so far of chunk sizes, extensions and their line ends: they count to the largest body. Trailers do not.
    pub(crate) fn framing_octets(&self) -> u64 {
        self.framing_octets
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn header_lines(&self) -> usize {
        self.header_lines
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn header_octets(&self) -> usize {
        self.header_octets
    }

    fn step(&mut self, octet: u8, rules: &HeadRules) -> Result<State, Rejection> {
        let in_trailers = matches!(self.state, State::Name { .. } | State::Value(_) | State::ValueLf)
            || matches!(self.state, State::Line { first } if !first || octet != b'\r')
            || matches!(self.state, State::EndLf { first: false });
        if in_trailers {
            self.header_octets += 1;
            if self.header_octets > rules.most_header_octets() {
                return Err(Rejection::HeadersExceedMaxTotalSize);
            }
        } else {
            self.framing_octets += 1;
        }
        match self.state {
            State::Size { digits, value } => self.step_size(octet, digits, value),
            State::Extension { state, size } if octet == b'\r' && state.may_end() => {
                Ok(State::SizeLf { size })
            }
            State::Extension { state, size } => {
                self.count_extension()?;
                let state = state.step(octet).ok_or(Rejection::BadChunkExtension)?;
                Ok(State::Extension { state, size })
            }
            State::SizeLf { size } => match (octet, size) {
                (b'\n', 0) => Ok(State::Line { first: true }),
                (b'\n', size) => Ok(State::Data(size)),
                _ => Err(Rejection::BadChunkSizeData),
            },
            State::DataCr if octet == b'\r' => Ok(State::DataLf),
            State::DataLf if octet == b'\n' => Ok(State::Size { digits: 0, value: 0 }),
            State::DataCr | State::DataLf => Err(Rejection::BadChunkSuffix),
            State::Line { first } => match octet {
                b'\r' => Ok(State::EndLf { first }),
                octet if is(octet, TOKEN) => Ok(State::Name { octets: 1 }),
                _ => Err(bad_name(octet)),
            },
            State::EndLf { .. } if octet == b'\n' => Ok(State::Done),
            State::EndLf { .. } => Err(Rejection::InvalidRequestHeadersNoCrLf),
            State::Name { octets } => match octet {
                b':' => Ok(State::Value(Utf8::START)),
                octet if is(octet, TOKEN) && octets < LONGEST_NAME => Ok(State::Name { octets: octets + 1 }),
                _ => Err(bad_name(octet)),
            },
            State::Value(utf8) => step_value(octet, utf8, rules),
            State::ValueLf if octet == b'\n' => {
                self.header_lines += 1;
                if self.header_lines > rules.max_headers {
                    return Err(Rejection::TooManyHeaders);
                }
                Ok(State::Line { first: false })
            }
            State::ValueLf => Err(Rejection::InvalidRequestHeader),
            state @ (State::Length(_) | State::Data(_) | State::Done) => Ok(state),
        }
    }

    fn step_size(&mut self, octet: u8, digits: u8, value: u32) -> Result<State, Rejection> {
        match char::from(octet).to_digit(16) {
            // Kestrel holds the size in an i32 and stops at 8 digits, zeros counted.
            Some(digit) if digits < 8 && value <= 0x07FF_FFFF => {
                Ok(State::Size { digits: digits + 1, value: value << 4 | digit })
            }
            None if digits > 0 && octet == b'\r' => Ok(State::SizeLf { size: value }),
            None if digits > 0 && octet == b';' => {
                self.count_extension()?;
                Ok(State::Extension { state: Extension::BeforeName, size: value })
            }
            _ => Err(Rejection::BadChunkSizeData),
        }
    }

    fn count_extension(&mut self) -> Result<(), Rejection> {
        self.extension_octets += 1;
        if self.extension_octets > MOST_EXTENSION_OCTETS {
            return Err(Rejection::ChunkExtensionsTooLong);
        }
        Ok(())
    }
}

impl State {
    /// The octet that led here is part of a trailer line.
    fn is_trailer(self) -> bool {
        matches!(self, Self::Name { .. } | Self::Value(_) | Self::ValueLf | Self::Line { first: false })
    }
}

impl Extension {
    /// `None`: the octet is not part of an extension here.
    fn step(self, octet: u8) -> Option<Self> {
        let is_space = matches!(octet, b' ' | b'\t');
        match self {
            Self::BeforeName | Self::BeforeValue if is_space => Some(self),
            Self::BeforeName | Self::Name if is(octet, TOKEN) => Some(Self::Name),
            Self::Name | Self::AfterName if octet == b'=' => Some(Self::BeforeValue),
            Self::Name | Self::AfterName if is_space => Some(Self::AfterName),
            Self::BeforeValue if octet == b'"' => Some(Self::Quoted),
            Self::BeforeValue | Self::Token if is(octet, TOKEN) => Some(Self::Token),
            Self::Quoted if octet == b'"' => Some(Self::AfterValue),
            Self::Quoted if octet == b'\\' => Some(Self::QuotedPair),
            Self::Quoted | Self::QuotedPair if octet == b'\t' || octet >= b' ' && octet != 0x7F => {
                Some(Self::Quoted)
            }
            Self::Token | Self::AfterValue if is_space => Some(Self::AfterValue),
            Self::Name | Self::AfterName | Self::Token | Self::AfterValue if octet == b';' => {
                Some(Self::BeforeName)
            }
            _ => None,
        }
    }

    /// After white space (`AfterName`, and `AfterValue` reached by it) RFC 9112 wants another `;`; Kestrel takes the
    /// end, and no reader can see the white space as anything else.
    fn may_end(self) -> bool {
        matches!(self, Self::Name | Self::AfterName | Self::Token | Self::AfterValue)
    }
}

fn bad_name(octet: u8) -> Rejection {
    match octet {
        0 | 0x80.. => Rejection::InvalidCharactersInHeaderName,
        _ => Rejection::InvalidRequestHeader,
    }
}

fn step_value(octet: u8, utf8: Utf8, rules: &HeadRules) -> Result<State, Rejection> {
    if octet < 0x80 && rules.utf8_values && utf8.missing > 0 {
        return Err(Rejection::MalformedHeaders);
    }
    match octet {
        b'\r' => Ok(State::ValueLf),
        b'\n' => Err(Rejection::InvalidRequestHeader),
        b'\t' | b' '..=0x7E => Ok(State::Value(Utf8::START)),
        0x80.. if !rules.utf8_values => Ok(State::Value(Utf8::START)),
        0x80.. => utf8.step(octet).map(State::Value).ok_or(Rejection::MalformedHeaders),
        _ => Err(Rejection::MalformedHeaders),
    }
}

impl Utf8 {
    const START: Self = Self { missing: 0, low: 0x80, high: 0xBF };

    /// For octets from 0x80 on.
    fn step(self, octet: u8) -> Option<Self> {
        let sequence = |missing, low, high| Some(Self { missing, low, high });
        if self.missing > 0 {
            let fits = (self.low..=self.high).contains(&octet);
            return fits.then(|| Self { missing: self.missing - 1, ..Self::START });
        }
        match octet {
            0xC2..=0xDF => sequence(1, 0x80, 0xBF),
            0xE0 => sequence(2, 0xA0, 0xBF),
            0xED => sequence(2, 0x80, 0x9F),
            0xE1..=0xEF => sequence(2, 0x80, 0xBF),
            0xF0 => sequence(3, 0x90, 0xBF),
            0xF1..=0xF3 => sequence(3, 0x80, 0xBF),
            0xF4 => sequence(3, 0x80, 0x8F),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::HeadParser;
    use super::*;
    use crate::limits::Limits;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    fn chunked(rules: &HeadRules) -> BodyFraming {
        BodyFraming::new(&HeadParser::default().advance(HEAD, rules).unwrap().unwrap())
    }

    /// What is seen when the input comes in pieces of `piece` octets after one of `first`: octets of the body and of
    /// its framing, or where it went wrong.
    fn read(
        body: &[u8],
        first: usize,
        piece: usize,
        rules: &HeadRules,
    ) -> Result<(usize, u64, bool), (usize, Rejection)> {
        let mut framing = chunked(rules);
        let (mut at, mut end) = (0, first.min(body.len()));
        loop {
            let seen = framing.advance(&body[at..end], rules).map_err(|(octets, why)| (at + octets, why))?;
            at += seen.octets;
            if seen.done || end == body.len() {
                return Ok((at, framing.framing_octets(), seen.done));
            }
            assert_eq!(at, end, "all of a piece belongs to a body that is not done");
            end = (end + piece).min(body.len());
        }
    }

    #[test]
    fn sees_the_same_for_every_split() {
        let rules = HeadRules::new(&Limits::default());
        for (body, expected) in [
            ("5\r\nhello\r\n0\r\n\r\nGET", Ok((15, 10, true))),
            ("0\r\n\r\n", Ok((5, 5, true))),
            ("00000001\r\nx\r\n00\r\nX: y\r\nZ:\r\n\r\n", Ok((29, 16, true))),
            ("1;a=b; c = \"\\\"\u{e9};\" ;d \r\nx\r\n0;e\r\n\r\n", Ok((34, 33, true))),
            ("1\r\nx\r\n0\r\nX: \u{20ac}\u{e9}\r\n", Ok((19, 8, false))),
            ("000000001\r\n", Err((8, Rejection::BadChunkSizeData))),
            ("80000000\r\n", Err((7, Rejection::BadChunkSizeData))),
            ("5 \r\n", Err((1, Rejection::BadChunkSizeData))),
            (";a\r\n", Err((0, Rejection::BadChunkSizeData))),
            ("5\nhello", Err((1, Rejection::BadChunkSizeData))),
            ("5\rhello", Err((2, Rejection::BadChunkSizeData))),
            ("5;\r\n", Err((2, Rejection::BadChunkExtension))),
            ("5;a\nb", Err((3, Rejection::BadChunkExtension))),
            ("5;bad[=x\r\n", Err((5, Rejection::BadChunkExtension))),
            ("5;a=\"b\r\n", Err((6, Rejection::BadChunkExtension))),
            ("5;a\rb", Err((4, Rejection::BadChunkSizeData))),
            ("1\r\nxx", Err((4, Rejection::BadChunkSuffix))),
            ("1\r\nx\n", Err((4, Rejection::BadChunkSuffix))),
            ("0\r\n\n", Err((3, Rejection::InvalidRequestHeader))),
            ("0\r\n\rX", Err((4, Rejection::InvalidRequestHeadersNoCrLf))),
            ("0\r\nX: y\n\r\n", Err((7, Rejection::InvalidRequestHeader))),
            ("0\r\nX : y\r\n", Err((4, Rejection::InvalidRequestHeader))),
            ("0\r\n y\r\n", Err((3, Rejection::InvalidRequestHeader))),
        ] {
            let body = body.as_bytes();
            for first in 0..=body.len() {
                for piece in [1, body.len().max(1)] {
                    assert_eq!(
                        read(body, first, piece, &rules),
                        expected,
                        "{} at {first}",
                        body.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn reads_a_length() {
        let rules = HeadRules::new(&Limits::default());
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        let mut framing = BodyFraming::new(&HeadParser::default().advance(head, &rules).unwrap().unwrap());
        assert_eq!(framing.advance(b"abc", &rules), Ok(Advance { octets: 3, done: false }));
        assert_eq!(framing.advance(b"deGET", &rules), Ok(Advance { octets: 2, done: true }));
        assert!(framing.state == State::Done);
    }

    #[test]
    fn counts_trailers_on_from_the_head() {
        let limits = |total, count| {
            HeadRules::new(
                &Limits::default().max_request_headers_total_size(total).max_request_header_count(count),
            )
        };
        let body = b"0\r\nX: y\r\n\r\n";
        // 37 octets of header lines, their empty line, then 8 of trailers: Kestrel allows both empty lines as one.
        assert_eq!(read(body, 0, 1, &limits(45, 3)), Ok((11, 3, true)));
        assert_eq!(read(body, 0, 1, &limits(44, 3)), Err((10, Rejection::HeadersExceedMaxTotalSize)));
        assert_eq!(read(body, 0, 1, &limits(45, 2)), Err((8, Rejection::TooManyHeaders)));
    }

    #[test]
    fn judges_utf8_as_the_standard_library() {
        let rules = HeadRules::new(&Limits::default());
        let mut random = 0x1234_5678_9ABC_DEF1_u64;
        for _ in 0..20_000 {
            let mut value = Vec::new();
            for _ in 0..4 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                value.push(
                    [
                        0x20, 0x7E, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0, 0xED, 0xEF, 0xF0,
                        0xF4, 0xF5,
                    ][(random >> 20) as usize % 16],
                );
            }
            let body = [b"0\r\nX: ", &value[..], b"\r\n\r\n"].concat();
            assert_eq!(
                chunked(&rules).advance(&body, &rules).is_ok(),
                std::str::from_utf8(&value).is_ok(),
                "{value:x?}"
            );
        }
    }

    #[test]
    fn stops_extensions_without_end() {
        let rules = HeadRules::new(&Limits::default());
        let mut framing = chunked(&rules);
        let chunk = b"1;abcdefg\r\nx\r\n";
        for _ in 0..2047 {
            framing.advance(chunk, &rules).unwrap();
        }
        assert_eq!(
            framing.advance(chunk, &rules),
            Err((8, Rejection::ChunkExtensionsTooLong)),
            "one octet under 16 KiB"
        );
    }
}
