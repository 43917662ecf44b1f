//! The header lines of the requests before: clients send the same ones again and again. A line that is octet for octet
//! the one that stood in its place is not judged again, and costs no memory.
//!
//! Whole lines are compared, their ends included, and the rules are those of the same connection, so that nothing passes
//! here that would not pass by itself. What decides about framing and routing (Host, Content-Length, Connection and
//! such) is looked at all the same.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::field::FieldAt;
use crate::http::exchange::rejection::Rejection;

#[derive(Debug, Default)]
pub(super) struct Memo {
    lines: Vec<KnownLine>,
    /// Octets of all lines.
    octets: usize,
    /// A request has come before: lines of the only request of a connection are not kept.
    learns: bool,
}

#[derive(Debug)]
struct KnownLine {
    /// With its end.
    line: Bytes,
    name: HeaderName,
    value: HeaderValue,
    /// Where the name ends and where the value stands in the line.
    name_end: usize,
    value_at: usize,
    misses: u8,
}

/// Longer lines are not kept, nor more lines, nor more octets in all.
const LONGEST: usize = 512;
const MOST_LINES: usize = 24;
const MOST_OCTETS: usize = 4 * 1024;

/// In a place whose line is another one each time nothing is kept.
const MOST_MISSES: u8 = 4;

impl Memo {
    /// The field at the start of `rest`, of which `before` octets of the head come before, if it is the one that is known
    /// for its place; and where its line ends.
    #[inline]
    pub(super) fn find(&self, place: usize, rest: &[u8], before: usize) -> Option<(FieldAt, usize)> {
        let known = self.lines.get(place)?;
        if !rest.starts_with(&known.line) {
            return None;
        }
        let value_at = before + known.value_at;
        let field = FieldAt {
            name: before..before + known.name_end,
            value: value_at..value_at + known.value.len(),
            known: true,
        };
        Some((field, before + known.line.len()))
    }

    /// Name and value of a good field.
    #[inline]
    pub(super) fn header(
        &mut self,
        place: usize,
        octets: &Bytes,
        field: &FieldAt,
    ) -> Result<(HeaderName, HeaderValue), Rejection> {
        match self.lines.get(place) {
            Some(known) if field.known => Ok((known.name.clone(), known.value.clone())),
            _ => self.learn(place, octets, field),
        }
    }

    /// A request is over: from the next one on it is worth to keep lines.
    pub(super) fn begin_to_learn(&mut self) {
        self.learns = true;
    }

    fn learn(
        &mut self,
        place: usize,
        octets: &Bytes,
        field: &FieldAt,
    ) -> Result<(HeaderName, HeaderValue), Rejection> {
        let name = HeaderName::from_bytes(&octets[field.name.clone()]);
        let name = name.map_err(|_| Rejection::InvalidRequestHeader)?;
        let value =
            |octets: Bytes| HeaderValue::from_maybe_shared(octets).map_err(|_| Rejection::MalformedHeaders);
        let Some((end, misses)) = self.place_for(place, octets, field) else {
            return Ok((name, value(octets.slice(field.value.clone()))?));
        };
        // A copy, since a slice would hold the whole of what was read with it.
        let line = Bytes::copy_from_slice(&octets[field.name.start..end]);
        let value_at = field.value.start - field.name.start;
        let value = value(line.slice(value_at..value_at + field.value.len()))?;
        let (name_end, kept) = (field.name.len(), line.len());
        let known = KnownLine { line, name: name.clone(), value: value.clone(), name_end, value_at, misses };
        self.octets += kept;
        match self.lines.get_mut(place) {
            Some(before) => {
                self.octets -= before.line.len();
                *before = known;
            }
            None => self.lines.push(known),
        }
        Ok((name, value))
    }

    /// Whether a line is to be kept: where it ends, and how often its place has had another.
    fn place_for(&mut self, place: usize, octets: &Bytes, field: &FieldAt) -> Option<(usize, u8)> {
        let before = self.lines.get_mut(place);
        let (freed, misses) = before.map_or((0, 0), |known| {
            known.misses = known.misses.saturating_add(1);
            (known.line.len(), known.misses)
        });
        if !self.learns || place >= MOST_LINES || place > self.lines.len() || misses > MOST_MISSES {
            return None;
        }
        let end = field.value.end + memchr::memchr(b'\n', &octets[field.value.end..])? + 1;
        let line = end - field.name.start;
        (line <= LONGEST && self.octets - freed + line <= MOST_OCTETS).then_some((end, misses))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::head::HeadParser;
    use super::super::request;
    use super::*;
    use crate::http::rules::HeadRules;
    use crate::limits::{HeaderValues, Http1Parsing, Limits};

    /// Marsaglia's xorshift: the same cases on every run.
    struct Random(u64);

    impl Random {
        fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            words[usize::try_from(self.0 >> 16).unwrap() % words.len()]
        }
    }

    /// What becomes of a head: how long it is and the request, or the refusal.
    fn outcome(parser: &mut HeadParser, octets: &Bytes, cut: usize, rules: &HeadRules) -> String {
        parser.reset();
        let first = parser.advance(&octets[..cut], rules);
        let head = match first {
            Ok(None) => parser.advance(octets, rules),
            done => done,
        };
        match head {
            Ok(Some(head)) => {
                let request = request::build(&head, octets, parser.fields(), HeaderMap::new(), ());
                format!("{head:?} {request:?}")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_head_is_judged_as_if_it_were_the_first() {
        const LINES: [&str; 24] = [
            "Host: a\r\n",
            "Host: a\r\n",
            "Host: b\r\n",
            "Host: a\n",
            "User-Agent: x\r\n",
            "User-Agent: x\r\n",
            "User-Agent: xy\r\n",
            "User-Agent: x\n",
            "User-Agent:x\r\n",
            "Accept: */*\r\n",
            "Accept: */*\r\n",
            "Accept: */*",
            "X: \u{e9}\r\n",
            "X: y\0\r\n",
            "X: y\r\r\n",
            " folded\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Connection: close\r\n",
            "Connection: upgrade\r\n",
            "TE: trailers\r\n",
            "Expect: 100-continue\r\n",
            "Expect: x\r\n",
        ];
        const GOOD: [&str; 5] = [
            "User-Agent: x\r\n",
            "Accept: */*\r\n",
            "X: \u{e9}\r\n",
            "TE: trailers\r\n",
            "Expect: 100-continue\r\n",
        ];
        const FIRST: [&str; 6] = [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\n",
            "POST /a?b HTTP/1.1\r\n",
            "GET / HTTP/1.0\r\n",
            "GET http://a/ HTTP/1.1\r\n",
            "CONNECT a HTTP/1.1\r\n",
        ];
        let limits = Limits::default();
        let rules = [
            HeadRules::new(&limits),
            HeadRules::new(&limits.clone().http1_parsing(Http1Parsing::Strict)),
            HeadRules::new(&limits.clone().header_values(HeaderValues::Octets).max_request_header_count(4)),
            HeadRules::new(&limits.max_request_headers_total_size(60)),
        ];
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        let (mut known, mut judged) = (0, 0);
        for round in 0..4000 {
            let rules = &rules[round % rules.len()];
            let mut parser = HeadParser::default();
            let mut usual: Vec<&str> = (0..6).map(|_| random.of(&GOOD)).collect();
            usual[0] = "Host: a\r\n";
            for _ in 0..6 {
                let mut head = random.of(&FIRST).to_owned();
                for line in &usual {
                    match random.of(&["", "", "", "", "", "", "", "", "", "other", "none", "twice"]) {
                        "other" => head += random.of(&LINES),
                        "none" => {}
                        "twice" => head += &line.repeat(2),
                        _ => head += line,
                    }
                }
                head += "\r\n";
                let octets = Bytes::from(head);
                let cut = usize::try_from(random.0 % 1000).unwrap() % octets.len();
                let cut = if round % 3 == 0 { cut } else { octets.len() };
                let expected = outcome(&mut HeadParser::default(), &octets, cut, rules);
                let seen = outcome(&mut parser, &octets, cut, rules);
                known += seen.matches("known: true").count()
                    + parser.fields().0.iter().filter(|field| field.known).count();
                judged += 1;
                assert_eq!(seen, expected, "{}", octets.escape_ascii());
            }
        }
        assert!(known > judged / 2, "{known} lines of {judged} heads were known: the cases test nothing");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut parser = HeadParser::default();
        let rules = HeadRules::new(&Limits::default());
        for number in 0..20 {
            let value = format!("{number}{}", "v".repeat(200));
            let lines = (0..90).fold(String::new(), |lines, line| lines + &format!("X{line}: {value}\r\n"));
            let octets = Bytes::from(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
            outcome(&mut parser, &octets, octets.len(), &rules);
            let memo = parser.fields().1;
            assert!(memo.lines.len() <= MOST_LINES && memo.octets <= MOST_OCTETS);
            assert_eq!(memo.octets, memo.lines.iter().map(|known| known.line.len()).sum::<usize>());
        }
        assert!(parser.fields().1.lines.iter().skip(1).all(|known| known.misses >= MOST_MISSES));
    }
}
