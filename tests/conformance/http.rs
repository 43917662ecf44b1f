//! Reading answers off the wire, tolerantly: what is there, not what should be.

use std::collections::BTreeMap;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: BTreeMap<String, String>,
    /// Whether all of it came.
    pub(crate) complete: bool,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// All answers in `raw`. `head[i]`: the request that the answer `i`, interim ones not counted, is to was a HEAD.
pub(crate) fn answers(raw: &[u8], head: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = raw;
    let mut finals = 0;
    while rest.starts_with(b"HTTP/") {
        let Some(end) = find(rest, b"\r\n\r\n") else { break };
        let (status, headers) = parse_head(&rest[..end]);
        rest = &rest[end + 4..];
        let mut answer =
            Answer { status, body: Vec::new(), trailers: BTreeMap::new(), complete: true, headers };
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
    answers
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

fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_default();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        (name.trim().to_ascii_lowercase(), value.trim().to_owned())
    });
    (status, headers.collect())
}

/// Where `what` begins in `octets`.
pub(crate) fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}
