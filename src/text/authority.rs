//! What stands between `//` and the path of a URI, or in a Host: user information, host and port.

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr;

use super::{decimal, inet_aton, ip};

/// What .NET's `Uri` takes between `http://` and the path: user information, then a name of letters, digits, `-` and
/// `_` or an IP address, then a port of 16 bits, which may be empty.
pub(crate) fn is_valid(authority: &[u8]) -> bool {
    let (host, port) = split(without_userinfo(authority));
    parse_port(port).is_ok() && (parse_ipv6(host).is_some() || is_name(host))
}

/// Labels of DNS in any number, or a short name with labels of any length.
fn is_name(name: &[u8]) -> bool {
    let is_short = name.len() <= 256;
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.split(|&octet| octet == b'.').all(|label| {
        !label.is_empty()
            && (is_short || label.len() <= 63)
            && label.iter().all(|&octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    })
}

/// Host and port. A second `@` is no part of any host.
pub(crate) fn without_userinfo(authority: &[u8]) -> &[u8] {
    memchr(b'@', authority).map_or(authority, |at| &authority[at + 1..])
}

/// The host, brackets included, and what stands after the colon behind it.
pub(crate) fn split(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = host_length(host);
    (&host[..end], host.get(end + 1..))
}

/// Where the colon before a port is, or the end.
pub(crate) fn host_length(host: &[u8]) -> usize {
    let address = if host.first() == Some(&b'[') { memchr(b']', host).unwrap_or(0) } else { 0 };
    memchr(b':', &host[address..]).map_or(host.len(), |colon| address + colon)
}

/// A port that may be left out, with its colon or without.
pub(crate) fn parse_port(port: Option<&[u8]>) -> Result<Option<u16>, NoPort> {
    match port {
        None | Some([]) => Ok(None),
        Some(digits) => decimal(digits).map(Some).ok_or(NoPort),
    }
}

/// It is no number, or too large for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPort;

/// A host that is an IPv4 address, in whatever spelling.
pub(crate) fn parse_ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(host).ok().and_then(inet_aton)
}

/// A host that is an IPv6 address, its zone left out.
pub(crate) fn parse_ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let host = std::str::from_utf8(host).ok().filter(|host| host.starts_with('['))?;
    Some(ip::parse_ipv6(host)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_colon_of_the_port() {
        for (host, name, port) in [
            ("a", "a", None),
            ("a:", "a", Some("")),
            ("a:80", "a", Some("80")),
            ("[::1]", "[::1]", None),
            ("[::1]:80", "[::1]", Some("80")),
            ("[::1", "[", Some(":1")),
            ("", "", None),
        ] {
            assert_eq!(split(host.as_bytes()), (name.as_bytes(), port.map(str::as_bytes)), "{host}");
        }
        assert_eq!(without_userinfo(b"u:p@h"), b"h");
        assert_eq!(without_userinfo(b"u@v@h"), b"v@h");
    }

    #[test]
    fn judges_as_uris_of_dotnet_are() {
        for authority in
            ["h", "h:", "h:080", "u:p@h", "[::1]", "[fe80::1%25eth0]:81", "[::1.2.3.4]", "a_b.c-."]
        {
            assert!(is_valid(authority.as_bytes()), "{authority}");
        }
        for authority in
            ["", ":80", "h:65536", "h:+1", "a..b", "u@v@h", "::1", "[::1", "[1.2.3.4]", "a b", "é"]
        {
            assert!(!is_valid(authority.as_bytes()), "{authority}");
        }
    }
}
