//! Plain HTTP on a TLS port: an answer that its sender can read.

use std::io;

use http::uri::Authority;
use tokio::io::AsyncReadExt;

use super::handshake::refuse;
use crate::connection::BoxIo;

/// What plain HTTP on a TLS port gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainHttp {
    Redirect,
    Refuse,
}

/// Reads the head and answers it; `read` is what has been read of it already.
pub(super) async fn answer(io: &mut BoxIo, mut read: Vec<u8>, policy: PlainHttp) -> io::Result<()> {
    let mut buf = [0; 1024];
    while end_of_head(&read).is_none() && read.len() < MAX_HEAD {
        match io.read(&mut buf).await? {
            0 => break,
            n => read.extend_from_slice(&buf[..n]),
        }
    }
    let location = match policy {
        PlainHttp::Redirect => end_of_head(&read).and_then(|end| location(&read[..end])),
        PlainHttp::Refuse => None,
    };
    let answer = match location {
        Some(location) => format!(
            "HTTP/1.1 308 Permanent Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        None => format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{EXPLANATION}",
            EXPLANATION.len()
        ),
    };
    refuse(io, answer.as_bytes()).await;
    Ok(())
}

const EXPLANATION: &str = "This port speaks HTTPS; the request was plain HTTP. Use an https:// address.\n";

/// More than the address takes that somebody typed into a browser, with its cookies.
const MAX_HEAD: usize = 16 * 1024;

/// Where the head's last line ends.
fn end_of_head(read: &[u8]) -> Option<usize> {
    memchr::memmem::find(read, b"\r\n\r\n").map(|at| at + 2)
}

/// The same address with https; `None` where the head does not say one that is safe to give back.
fn location(head: &[u8]) -> Option<String> {
    let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
    let mut request_line = lines.next()?.split(' ');
    let (_method, target, version) = (request_line.next()?, request_line.next()?, request_line.next()?);
    let is_path = target.starts_with('/') && target.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_path || !version.starts_with("HTTP/1.") || request_line.next().is_some() {
        return None;
    }
    let mut hosts = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim_matches([' ', '\t']))
    });
    let host = hosts.next().filter(|host| !host.contains('@'))?;
    if hosts.next().is_some() {
        return None;
    }
    let authority = host.parse::<Authority>().ok()?;
    Some(format!("https://{authority}{target}"))
}

#[cfg(test)]
mod tests {
    use super::location;

    #[test]
    fn only_a_plain_request_is_redirected() {
        let at = |head: &str| location(head.as_bytes());
        assert_eq!(
            at("GET /a?b=c HTTP/1.1\r\nAccept: */*\r\nhOst:  example.org:8443 \r\n").as_deref(),
            Some("https://example.org:8443/a?b=c")
        );
        for head in [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
            "GET / HTTP/1.1\r\nHost: u@a\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n",
            "GET / HTTP/1.1\r\nHost: \r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n",
            "GET /\u{1} HTTP/1.1\r\nHost: a\r\n",
            "GET / / HTTP/1.1\r\nHost: a\r\n",
            "GET /\r\nHost: a\r\n",
        ] {
            assert_eq!(at(head), None, "{head:?}");
        }
    }
}
