//! What is asked of the servers in HTTP/1.1, and what is to come of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use super::protocol::{HELLO, LARGE};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// In the octets of a request: eight digits that no two requests share.
const NUMBER: &str = "########";

/// Enough of an answer's end to know it by.
const TAIL: usize = 64;

const TINY_CHUNKS: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each of the benchmarks asks for some")]
pub(crate) enum Ask {
    /// As wrk sends it: a host.
    Wrk,
    /// As curl sends it: three headers.
    Curl,
    /// As a browser sends it: 16 fields, 700 octets.
    Browser,
    /// A browser's, with another query and another cookie in each request.
    Varied,
    /// As wrk sends it, and the connection ends with the response.
    Close,
    /// 12 octets, which come back.
    Post,
    /// The same in one chunk.
    PostChunked,
    /// 4,096 chunks of one octet, which are counted.
    TinyChunks,
    /// 1 MB, which is counted.
    Upload,
    /// 1 MB comes back.
    Download,
}

/// One or several requests in one write.
pub(crate) struct Requests {
    octets: Vec<u8>,
    /// Where the numbers stand.
    numbers: Vec<usize>,
    /// The body of each answer.
    answer: Vec<u8>,
}

impl Requests {
    pub(crate) fn new(ask: Ask, authority: SocketAddr, depth: usize) -> Self {
        let octets = ask.octets(authority.port()).repeat(depth);
        let numbers = octets.windows(NUMBER.len()).enumerate();
        let numbers =
            numbers.filter(|(_, window)| *window == NUMBER.as_bytes()).map(|(place, _)| place).collect();
        Self { octets, numbers, answer: ask.answer() }
    }

    /// The octets to send next.
    pub(crate) fn next(&mut self) -> &[u8] {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for place in &self.numbers {
            let mut number = NEXT.fetch_add(1, Ordering::Relaxed);
            for digit in self.octets[*place..][..NUMBER.len()].iter_mut().rev() {
                *digit = b"0123456789"[number as usize % 10];
                number /= 10;
            }
        }
        &self.octets
    }

    /// Whether `response` is the answer to one of them, all of it.
    pub(crate) fn is_answer(&self, response: &[u8]) -> bool {
        response.starts_with(OK) && response.ends_with(&self.answer)
    }

    /// The same for answers of which the length is right: they begin and end as they should.
    pub(crate) fn are_answers(&self, responses: &[u8]) -> bool {
        let tail = &self.answer[self.answer.len().saturating_sub(TAIL)..];
        responses.starts_with(OK) && responses.ends_with(tail)
    }
}

impl Ask {
    fn octets(self, port: u16) -> Vec<u8> {
        let (line, headers) = match self {
            Self::Wrk => ("GET /", ""),
            Self::Curl => ("GET /", CURL),
            Self::Browser => ("GET /", BROWSER),
            Self::Varied => ("GET /?page=########", VARIED),
            Self::Close => ("GET /", "Connection: close\r\n"),
            Self::Post => ("POST /echo", "Content-Type: text/plain\r\nContent-Length: 12\r\n"),
            Self::PostChunked => ("POST /echo", "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"),
            Self::TinyChunks => ("POST /length", "Transfer-Encoding: chunked\r\n"),
            Self::Upload => ("POST /length", "Content-Length: 1000000\r\n"),
            Self::Download => ("GET /large/1000000", ""),
        };
        let body = match self {
            Self::Post => HELLO.into(),
            Self::PostChunked => format!("c\r\n{HELLO}\r\n0\r\n\r\n").into_bytes(),
            Self::TinyChunks => ["1\r\nx\r\n".repeat(TINY_CHUNKS).as_bytes(), b"0\r\n\r\n"].concat(),
            Self::Upload => LARGE.to_vec(),
            _ => Vec::new(),
        };
        let head = format!("{line} HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n");
        [head.as_bytes(), &body].concat()
    }

    fn answer(self) -> Vec<u8> {
        match self {
            // After the line that ends the head, so that a longer number is no answer.
            Self::TinyChunks => format!("\r\n\r\n{TINY_CHUNKS}").into(),
            Self::Upload => format!("\r\n\r\n{}", LARGE.len()).into(),
            Self::Download => LARGE.to_vec(),
            _ => HELLO.into(),
        }
    }
}

const CURL: &str = "User-Agent: curl/8.14.1\r\nAccept: */*\r\n";

/// The headers of a browser, with `$cookie` in the cookie.
macro_rules! browser {
    ($cookie:literal) => {
        concat!(
            "Connection: keep-alive\r\n\
             Cache-Control: max-age=0\r\n\
             sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
             sec-ch-ua-mobile: ?0\r\n\
             sec-ch-ua-platform: \"Linux\"\r\n\
             Upgrade-Insecure-Requests: 1\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/142.0.0.0 Safari/537.36\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
             Sec-Fetch-Site: none\r\n\
             Sec-Fetch-Mode: navigate\r\n\
             Sec-Fetch-User: ?1\r\n\
             Sec-Fetch-Dest: document\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\n\
             Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
             Cookie: session=0d4c1f6ae7b24c0b",
            $cookie,
            "; theme=dark; consent=1\r\n"
        )
    };
}

const BROWSER: &str = browser!("9a51f2f7");
const VARIED: &str = browser!("########");
