//! Plain HTTP on a TLS port: an answer that its sender can read.

use std::io;

use tokio::io::AsyncReadExt;

use super::farewell::refuse;
use crate::connection::BoxIo;
use crate::text::host_name;

/// What plain HTTP on a TLS port gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainHttp {
    Redirect,
    Refuse,
}

/// Reads the head and answers it; `read` is what has been read of it already. What turns out not to
/// be HTTP gets nothing.
pub(super) async fn answer(io: &mut BoxIo, mut read: Vec<u8>, policy: PlainHttp) -> io::Result<()> {
    let mut buf = [0; 1024];
    while end_of_head(&read).is_none() && read.len() < MAX_HEAD {
        if !may_be_http(&read) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "neither TLS nor HTTP"));
        }
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

/// Whether this is how a request begins: a method, and a line that ends with a version.
fn may_be_http(read: &[u8]) -> bool {
    let method = read.split(|octet| *octet == b' ').next().unwrap_or_default();
    let line = memchr::memchr(b'\n', read).map(|end| read[..end].trim_ascii_end());
    method.iter().all(|octet| octet.is_ascii_alphabetic() || matches!(octet, b'-' | b'_'))
        && line.is_none_or(|line| {
            line.rsplit(|octet| *octet == b' ').next().is_some_and(|version| version.starts_with(b"HTTP/"))
        })
}

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
    let host = hosts.next().filter(|host| host_name::of(host.as_bytes()).is_some())?;
    hosts.next().is_none().then(|| format!("https://{host}{target}"))
}

#[cfg(test)]
mod tests {
    use super::{location, may_be_http};

    #[test]
    fn other_protocols_are_told_apart_early() {
        for text in ["G", "GET /", "M-SEARCH * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"] {
            assert!(may_be_http(text.as_bytes()), "{text:?}");
        }
        for text in ["SSH-2.0-x", "EHLO a\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "GET /\r\n"] {
            assert!(!may_be_http(text.as_bytes()), "{text:?}");
        }
    }

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
            "GET / HTTP/1.1\r\nHost: a%41\r\n",
            "GET / HTTP/1.1\r\nHost: a*b\r\n",
            "GET / HTTP/1.1\r\nHost: a:\r\n",
            "GET / HTTP/1.1\r\nHost: [::1]80\r\n",
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
