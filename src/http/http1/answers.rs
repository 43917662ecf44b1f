//! Follows the answers that somebody else's hyper writes, to know when a connection is idle.
//!
//! Under `kestrel_rs::serve` the exchange itself tells. Under `axum::serve` there is only what is
//! written; hyper writes every head itself, so a head is where the framing says that one is due.

use http::StatusCode;

use super::framing::BodyFraming;
use super::head::BodyLength;
use crate::http::rules::HeadRules;
use crate::text::content_length;

/// The most header lines of an answer that are followed; hyper's own bound for a request is 100.
const MAX_HEADERS: usize = 512;

pub(super) struct Answers {
    state: State,
}

enum State {
    /// The head, as far as it has been written.
    Head(Vec<u8>),
    Body(BodyFraming),
    /// The answer ends with the connection, or cannot be followed.
    ToTheEnd,
}

/// What a piece of output brought to its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finished {
    Answer,
    /// The client's request for an upgrade was granted (`true`) or not; in the latter case the
    /// answer itself is still to be finished.
    Upgrade(bool),
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { state: State::Head(Vec::new()) }
    }

    /// Follows `data`; `request` tells the method of the request that is being answered.
    pub(super) fn advance(
        &mut self,
        mut data: &[u8],
        rules: &HeadRules,
        mut request: impl FnMut() -> Method,
        mut finished: impl FnMut(Finished),
    ) {
        while !data.is_empty() {
            match &mut self.state {
                State::ToTheEnd => return,
                State::Body(framing) => {
                    let Ok(step) = framing.advance(data, rules) else {
                        self.state = State::ToTheEnd;
                        return;
                    };
                    data = &data[step.octets..];
                    if step.done {
                        self.state = State::Head(Vec::new());
                        finished(Finished::Answer);
                    }
                }
                State::Head(head) => {
                    let before = head.len();
                    head.extend_from_slice(data);
                    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
                    let mut answer = httparse::Response::new(&mut headers);
                    let parsed = answer.parse(head);
                    let Ok(httparse::Status::Complete(len)) = parsed else {
                        if parsed.is_err() {
                            self.state = State::ToTheEnd;
                        }
                        return;
                    };
                    data = &data[len - before..];
                    let status =
                        answer.code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or_default();
                    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                        self.state = State::Head(Vec::new());
                        continue;
                    }
                    let method = request();
                    let upgraded = status == StatusCode::SWITCHING_PROTOCOLS
                        || method == Method::Connect && status.is_success();
                    finished(Finished::Upgrade(upgraded));
                    let length = if upgraded { None } else { body_length(&answer, status, method) };
                    self.state = match length {
                        None => State::ToTheEnd,
                        Some(BodyLength::None) => {
                            finished(Finished::Answer);
                            State::Head(Vec::new())
                        }
                        Some(length) => State::Body(BodyFraming::of_answer(length)),
                    };
                }
            }
        }
    }
}

/// What matters of the method of a request for the framing of its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Method {
    #[default]
    Other,
    Head,
    Connect,
}

/// RFC 9112 section 6.3; `None`: until the connection ends.
fn body_length(
    answer: &httparse::Response<'_, '_>,
    status: StatusCode,
    method: Method,
) -> Option<BodyLength> {
    if method == Method::Head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(BodyLength::None);
    }
    let mut length = None;
    for header in &*answer.headers {
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return header
                .value
                .trim_ascii()
                .to_ascii_lowercase()
                .ends_with(b"chunked")
                .then_some(BodyLength::Chunked);
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            length = content_length(header.value.trim_ascii());
        }
    }
    match length? {
        0 => Some(BodyLength::None),
        length => Some(BodyLength::Length(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn follow(output: &[u8], piece: usize, method: Method) -> Vec<Finished> {
        let rules = HeadRules::new(&Limits::default());
        let mut answers = Answers::new();
        let mut all = Vec::new();
        for piece in output.chunks(piece) {
            answers.advance(piece, &rules, || method, |finished| all.push(finished));
        }
        all
    }

    #[test]
    fn counts_answers_however_they_are_cut() {
        let output = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc\
            HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for piece in 1..output.len() {
            let answers = follow(output, piece, Method::Other);
            assert_eq!(answers.iter().filter(|f| **f == Finished::Answer).count(), 5, "cut into {piece}");
        }
    }

    #[test]
    fn sees_a_tunnel_only_in_a_head() {
        let body = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let mut output = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
        output.extend_from_slice(body);
        assert!(!follow(&output, 7, Method::Other).contains(&Finished::Upgrade(true)));
        assert!(follow(body, 7, Method::Other).contains(&Finished::Upgrade(true)));
        let ok = b"HTTP/1.1 200 OK\r\n\r\n";
        assert!(follow(ok, 100, Method::Connect).contains(&Finished::Upgrade(true)));
        assert!(!follow(ok, 100, Method::Other).contains(&Finished::Upgrade(true)));
    }
}
