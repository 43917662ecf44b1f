//! Whatever passes here, hyper takes and frames alike: held against the real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends, and fuzzing is one")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::framing::BodyFraming;
use super::head::{Asks, BodyLength, EmptyLines, Head, HeadParser};
use crate::http::exchange::target;
use crate::http::rules::HeadRules;

const SENTINEL: &[u8] = b"GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n";

/// One message as one of the two readers saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) header_lines: usize,
    pub(super) body: Result<usize, String>,
    pub(super) trailer_lines: usize,
}

/// How many messages pass, as [`messages`] reads them.
#[cfg(test)]
async fn agrees_with_hyper(bytes: &[u8], rules: &HeadRules) -> Result<usize, String> {
    messages(bytes, rules).await.map(|messages| messages.len())
}

/// Reads messages from `bytes` until one is refused or not whole, and holds each against hyper.
///
/// What hyper saw of each, and whether its connection goes on; an error says how the two disagree.
pub(super) async fn messages(bytes: &[u8], rules: &HeadRules) -> Result<Vec<(Message, bool)>, String> {
    let mut rest = bytes;
    let mut passed = Vec::new();
    loop {
        let Ok(empty) = EmptyLines::default().advance(rest, rules) else { return Ok(passed) };
        rest = &rest[empty..];
        let Ok(Some(head)) = HeadParser::default().advance(rest, rules) else { return Ok(passed) };
        let mut framing = BodyFraming::new(&head);
        let body = &rest[head.len..];
        let octets = match framing.advance(body, rules) {
            Ok(advance) if advance.done => advance.octets,
            _ => return Ok(passed),
        };
        let message = &rest[..head.len + octets];
        let seen = check(message, &head, &framing, octets)
            .await
            .map_err(|why| format!("{why}\nmessage: {}\nhead: {head:?}", message.escape_ascii()))?;
        let goes_on = head.asks.has(Asks::KEEP_ALIVE) && head.dropped_content_length.is_none();
        passed.push((seen, goes_on));
        rest = &rest[message.len()..];
    }
}

async fn check(message: &[u8], head: &Head, framing: &BodyFraming, octets: usize) -> Result<Message, String> {
    let mut shown = message.to_vec();
    // hyper does not take chunks on HTTP/1.0.
    let version = shown[head.target.end..].iter().position(|&octet| octet == b'.').ok_or("no version")?;
    shown[head.target.end + version + 1] = b'1';
    shown.extend_from_slice(SENTINEL);
    let seen = show_hyper(&shown).await?;

    let line = message.split(|&octet| octet == b' ').collect::<Vec<_>>();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let trailer_octets = framing.header_octets() - head.header_octets;
    let data = match head.body {
        BodyLength::Chunked => octets - trailer_octets - usize::try_from(framing.framing_octets()).unwrap(),
        _ => octets,
    };
    let first = seen.first().ok_or("hyper took nothing")?;
    let expected = Message {
        method: text(line[0]),
        target: first.target.clone(),
        header_lines: head.header_lines - usize::from(head.dropped_content_length.is_some()),
        body: Ok(data),
        trailer_lines: framing.header_lines() - head.header_lines,
    };
    if *first != expected {
        return Err(format!("ours {expected:?}\nhyper's {first:?}"));
    }
    // An authority without a path is written back with one.
    let (target, sent) = (first.target.as_bytes(), line[1]);
    if target != sent && !sent.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"http")) {
        return Err(format!("target {} is {}", sent.escape_ascii(), first.target));
    }
    if let Ok(uri) = first.target.parse::<http::Uri>()
        && target::normalize(&uri).is_some()
        && !head.asks.has(Asks::NORMALIZE)
    {
        return Err("the flag to normalize is missing".to_owned());
    }
    match seen.get(1) {
        Some(second) if second.target != "/sentinel" || second.method != "GET" => {
            Err(format!("after it hyper saw {second:?}"))
        }
        None if head.asks.has(Asks::KEEP_ALIVE) && head.dropped_content_length.is_none() => {
            Err("hyper does not go on".to_owned())
        }
        _ => Ok(expected),
    }
}

async fn show_hyper(bytes: &[u8]) -> Result<Vec<Message>, String> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(bytes).await.map_err(|error| error.to_string())?;
    client.shutdown().await.map_err(|error| error.to_string())?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let mut message = Message {
                method: parts.method.to_string(),
                target: parts.uri.to_string(),
                header_lines: parts.headers.len(),
                body: Ok(0),
                trailer_lines: 0,
            };
            match body.collect().await {
                Ok(body) => {
                    message.trailer_lines = body.trailers().map_or(0, http::HeaderMap::len);
                    message.body = Ok(body.to_bytes().len());
                }
                Err(error) => message.body = Err(format!("{error:?}")),
            }
            seen.lock().unwrap().push(message);
            // Not a success: hyper would make a tunnel of a CONNECT.
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok::<_, Infallible>(response)
        }
    });
    let ended = hyper::server::conn::http1::Builder::new()
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .max_header_size(1 << 17)
        .half_close(true)
        .serve_connection(TokioIo::new(server), service)
        .await;
    let mut answers = Vec::new();
    let _ = client.read_to_end(&mut answers).await;
    let seen = seen.lock().unwrap().clone();
    match ended {
        Err(error) if seen.is_empty() => Err(format!("hyper refuses: {error:?}")),
        _ => Ok(seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{HeaderValues, Limits};

    /// Marsaglia's xorshift: the same cases on every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 16).unwrap() % end
        }
    }

    /// What tends to matter.
    const WORDS: [&[u8]; 44] = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"=",
        b"\"",
        b"\\",
        b"%",
        b"%2e",
        b"%00",
        b"/..",
        b"/",
        b"?",
        b"#",
        b"[",
        b"]",
        b"@",
        b"0",
        b"5",
        b"a",
        b"\x7f",
        b"\x80",
        "é".as_bytes(),
        b"HTTP/1.0",
        b"http://h",
        b"https://[::1]:443/",
        b"Host: h\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"chunked, ",
        b"CONNECT ",
        b"OPTIONS ",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"X: y\r\n",
    ];

    fn seeds() -> Vec<Vec<u8>> {
        let mut seeds: Vec<Vec<u8>> = [
            "GET http://h:80/a/../b?c HTTP/1.1\r\nHost: h\r\n\r\n",
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: h\r\nX: \u{e9}\r\n\r\n",
            "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: gzip, chunked\n\n5;a=\"b\\\"c\";d\r\nhello\r\n00\r\nX: y\r\nZ:\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "PUT /p HTTP/1.1\r\nHost:\r\nContent-Length: 005\r\nExpect: 100-continue\r\n\r\nhello",
        ]
        .map(|seed| seed.as_bytes().to_vec())
        .into();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/http1/probes.json");
        let probes: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for probe in probes.as_array().unwrap() {
            let sent = probe["steps"].as_array().unwrap().iter().filter_map(|step| step["send"].as_str());
            let bytes: Vec<u8> =
                sent.flat_map(str::chars).map(|char| u8::try_from(u32::from(char)).unwrap()).collect();
            if (1..4096).contains(&bytes.len()) {
                seeds.push(bytes);
            }
        }
        seeds
    }

    #[tokio::test]
    async fn what_passes_is_the_same_for_hyper() {
        let cases: usize = std::env::var("KESTREL_CASES").map_or(6_000, |cases| cases.parse().unwrap());
        let seeds = seeds();
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        let compatible = HeadRules::new(&Limits::default());
        let octets = HeadRules::new(&Limits::default().header_values(HeaderValues::Octets));
        let mut passed = 0;
        for seed in &seeds {
            passed += agrees_with_hyper(seed, &compatible).await.unwrap_or_else(|why| panic!("{why}"));
        }
        for case in 0..cases {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() + 1);
                match random.below(5) {
                    0 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => {
                        let other = &seeds[random.below(seeds.len())];
                        let from = random.below(other.len());
                        let to = (from + random.below(40)).min(other.len());
                        bytes.splice(at..at, other[from..to].iter().copied());
                    }
                    _ => {
                        let word = WORDS[random.below(WORDS.len())];
                        // Mostly where a line begins, else hardly any field would be one.
                        let starts: Vec<_> =
                            bytes.windows(2).enumerate().filter(|(_, pair)| *pair == b"\r\n").collect();
                        let at = match starts.len() {
                            lines @ 1.. if word.ends_with(b"\r\n") => starts[random.below(lines)].0 + 2,
                            _ => at,
                        };
                        bytes.splice(at..at, word.iter().copied());
                    }
                }
            }
            let rules = if case % 4 == 0 { &octets } else { &compatible };
            passed +=
                agrees_with_hyper(&bytes, rules).await.unwrap_or_else(|why| panic!("case {case}: {why}"));
        }
        assert!(passed > cases / 10, "only {passed} messages passed: the cases test nothing");
        println!("{passed} messages passed and were the same for hyper");
    }
}
