//! Reading answers off the wire, tolerantly: what is there, not what should be.

use std::collections::BTreeMap;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `HTTP/1.1`, and what stands behind the status.
    pub(crate) version: String,
    pub(crate) reason: String,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: BTreeMap<String, String>,
    /// Whether all of it came.
    pub(crate) complete: bool,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// All answers in `raw`. `head[i]`: the request that the answer `i`, interim ones not counted, is to was a HEAD.
pub(crate) fn answers(raw: &[u8], head: &[bool]) -> Vec<Answer> {
    answers_and_rest(raw, head).0
}

/// The same, with the octets behind them that begin no answer.
pub(crate) fn answers_and_rest<'a>(raw: &'a [u8], head: &[bool]) -> (Vec<Answer>, &'a [u8]) {
    let mut answers = Vec::new();
    let mut rest = raw;
    let mut finals = 0;
    while rest.starts_with(b"HTTP/") {
        let Some(end) = find(rest, b"\r\n\r\n") else { break };
        let ([version, status, reason], headers) = parse_head(&rest[..end]);
        let status = status.parse().unwrap_or_default();
        rest = &rest[end + 4..];
        let mut answer = Answer {
            status,
            version,
            reason,
            body: Vec::new(),
            trailers: BTreeMap::new(),
            complete: true,
            headers,
        };
        let chunked =
            answer.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
        let length = answer.header("content-length").and_then(|v| v.parse::<usize>().ok());
        let is_head = head.get(finals).copied().unwrap_or_default();
        if status == 101 {
            answer.body = std::mem::take(&mut rest).to_vec();
        } else if status / 100 == 1 || matches!(status, 204 | 304) || is_head {
            // No body, whatever the headers say.
        } else if chunked {
            rest = answer.read_chunks(rest);
        } else if let Some(length) = length {
            answer.complete = length <= rest.len();
            let (body, after) = rest.split_at(length.min(rest.len()));
            answer.body = body.to_vec();
            rest = after;
        } else {
            answer.body = std::mem::take(&mut rest).to_vec();
        }
        finals += usize::from(status / 100 != 1);
        answers.push(answer);
    }
    (answers, rest)
}

impl Answer {
    /// Takes a chunked body and its trailers from the front of `rest`; what is left is the next answer.
    fn read_chunks<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        self.complete = false;
        while let Some(end) = find(rest, b"\r\n") {
            let digits = rest[..end].split(|&b| b == b';').next().unwrap_or_default();
            let size =
                std::str::from_utf8(digits).ok().and_then(|d| usize::from_str_radix(d.trim(), 16).ok());
            let Some(size) = size else { return rest };
            rest = &rest[end + 2..];
            if size == 0 {
                return self.read_trailers(rest);
            }
            self.body.extend_from_slice(&rest[..size.min(rest.len())]);
            match rest.get(size + 2..) {
                Some(after) => rest = after,
                None => return &[],
            }
        }
        rest
    }

    fn read_trailers<'a>(&mut self, mut rest: &'a [u8]) -> &'a [u8] {
        while let Some(end) = find(rest, b"\r\n") {
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 2..];
            if line.is_empty() {
                self.complete = true;
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            self.trailers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        rest
    }
}

/// The three parts of the status line, and the headers.
fn parse_head(head: &[u8]) -> ([String; 3], Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut parts = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
    let status_line = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().to_ascii_lowercase(), value.trim().to_owned())
    });
    (status_line, headers.collect())
}

/// Where `what` begins in `octets`.
pub(crate) fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}
