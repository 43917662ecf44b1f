//! The Host field, as Kestrel judges it: looser than RFC 3986 for names, no range for ports.
//!
//! # Differences from Kestrel
//!
//! STRICTNESS `absolute-form-case`: beside a target in absolute form, Host may be spelled as the target is; Kestrel
//! asks for the spelling of .NET's `Uri` (lower case, `127.1` as `127.0.0.1`, IPv6 compressed).

use std::net::{Ipv4Addr, Ipv6Addr};

use memchr::memchr;

use super::target::{Scheme, split_absolute};
use crate::text::inet_aton;
use crate::text::octets::{HOST, is};

/// The grammar; an empty Host is one.
#[inline]
pub(in crate::http) fn is_valid(host: &[u8]) -> bool {
    match host.first() {
        None => true,
        Some(b'[') => {
            let Some(end) =
                host.iter().skip(1).position(|octet| !octet.is_ascii_hexdigit() && !b":.".contains(octet))
            else {
                return false;
            };
            // `[::]` is no host for Kestrel: three octets at least.
            end >= 3 && host[end + 1] == b']' && is_valid_port(&host[end + 2..])
        }
        Some(_) => {
            let end = host.iter().position(|&octet| !is(octet, HOST)).unwrap_or(host.len());
            end > 0 && is_valid_port(&host[end..])
        }
    }
}

/// Nothing, or a colon and digits.
fn is_valid_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What .NET's `Uri` takes between `http://` and the path: user information, then a name of letters, digits, `-` and
/// `_` or an IP address, then a port of 16 bits, which may be empty.
pub(in crate::http) fn is_valid_authority(authority: &[u8]) -> bool {
    let (host, port) = split_port(without_userinfo(authority));
    parse_port(port).is_ok() && (parse_ipv6(host).is_some() || is_valid_name(host))
}

/// Labels of DNS in any number, or a short name with labels of any length.
fn is_valid_name(name: &[u8]) -> bool {
    let is_short = name.len() <= 256;
    let name = name.strip_suffix(b".").unwrap_or(name);
    name.split(|&octet| octet == b'.').all(|label| {
        !label.is_empty()
            && (is_short || label.len() <= 63)
            && label.iter().all(|&octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    })
}

/// Whether `host` names the authority of a target in absolute form.
pub(in crate::http) fn is_of_absolute(host: &[u8], target: &[u8]) -> bool {
    let Some((scheme, authority, _)) = split_absolute(target) else { return false };
    let authority = without_userinfo(authority);
    if host.eq_ignore_ascii_case(authority) {
        return true;
    }
    let (target_name, target_port) = split_port(authority);
    let (host_name, host_port) = split_port(host);
    is_same_port(scheme, host_port, target_port) && is_same_name(host_name, target_name)
}

/// The Host that names the authority of a target in absolute form, in the spelling of .NET's `Uri`; `None` if the
/// authority cannot be one.
pub(in crate::http) fn of_absolute(target: &[u8]) -> Option<String> {
    let (scheme, authority, _) = split_absolute(target)?;
    let (name, port) = split_port(without_userinfo(authority));
    let name = match (parse_ipv6(name), parse_ipv4(name)) {
        (Some(address), _) => format!("[{address}]"),
        (None, Some(address)) => address.to_string(),
        (None, None) => std::str::from_utf8(name).ok()?.to_ascii_lowercase(),
    };
    let host = match parse_port(port).ok()? {
        Some(port) if port != scheme.default_port() => format!("{name}:{port}"),
        _ => name,
    };
    is_valid(host.as_bytes()).then_some(host)
}

fn is_same_port(scheme: Scheme, host: Option<&[u8]>, target: Option<&[u8]>) -> bool {
    let target = parse_port(target).ok().flatten().unwrap_or(scheme.default_port());
    match host {
        None => target == scheme.default_port(),
        Some(host) => host == target.to_string().as_bytes(),
    }
}

fn is_same_name(host: &[u8], target: &[u8]) -> bool {
    if host.eq_ignore_ascii_case(target) {
        return true;
    }
    match (parse_ipv6(target), parse_ipv4(target)) {
        (Some(address), _) => parse_ipv6(host) == Some(address),
        (_, Some(address)) => host == address.to_string().as_bytes(),
        _ => false,
    }
}

fn without_userinfo(authority: &[u8]) -> &[u8] {
    memchr(b'@', authority).map_or(authority, |at| &authority[at + 1..])
}

/// The host, brackets included, and what stands after the colon behind it.
fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let name = if host.first() == Some(&b'[') { memchr(b']', host).unwrap_or(0) } else { 0 };
    match memchr(b':', &host[name..]) {
        Some(colon) => (&host[..name + colon], Some(&host[name + colon + 1..])),
        None => (host, None),
    }
}

fn parse_port(port: Option<&[u8]>) -> Result<Option<u16>, ()> {
    match port {
        None | Some([]) => Ok(None),
        Some(digits) => digits
            .iter()
            .try_fold(0_u16, |port, digit| {
                let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
                port.checked_mul(10)?.checked_add(digit)
            })
            .map(Some)
            .ok_or(()),
    }
}

fn parse_ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(host).ok().and_then(inet_aton)
}

/// `[::1]`, its zone left out.
fn parse_ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let inside = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let address = memchr(b'%', inside).map_or(inside, |zone| &inside[..zone]);
    std::str::from_utf8(address).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_like_kestrel() {
        for host in [
            "",
            "a",
            "1:1",
            "[ABCdef]",
            "[::1]:80",
            "900.900.900.900:9523547852",
            "-",
            "_",
            "~",
            "!",
            "$",
            "'",
            "(",
            ")",
            "..",
            "[...]",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        for host in [
            "[]",
            "[::]",
            "[ghijkl]",
            "[afd:adf:123",
            "[afd:adf]123",
            "[afd:adf]:",
            ":1234",
            "a:b:c",
            "::1",
            "abcd:1abcd",
            "1.2.3.4:",
            "1.2 .4",
            "a,b",
            "u@h",
            "a/",
            "%41",
            "*",
            "a=b",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn compares_with_an_absolute_target() {
        for (host, target) in [
            ("h", "http://h/"),
            ("h:80", "http://h"),
            ("h", "http://h:80/"),
            ("h", "http://h:/"),
            ("h", "http://h:080/"),
            ("H", "HTTP://h/"),
            ("h:443", "https://h/"),
            ("h:81", "http://u:p@h:81/"),
            ("[::1]", "http://[0:0:0:0:0:0:0:1]/"),
            ("[::1]:80", "http://[0:0:0:0:0:0:0:1]/"),
            ("127.0.0.1", "http://127.1/"),
            ("127.0.0.1", "http://0x7f.1/"),
            ("127.1", "http://127.1/"),
        ] {
            assert!(is_of_absolute(host.as_bytes(), target.as_bytes()), "{host} {target}");
        }
        for (host, target) in [
            ("", "http://h/"),
            ("h:81", "http://h/"),
            ("h:80", "https://h/"),
            ("h.", "http://h/"),
            ("h:080", "http://h/"),
            ("u@h", "http://h/"),
            ("h", "http://h:81/"),
        ] {
            assert!(!is_of_absolute(host.as_bytes(), target.as_bytes()), "{host} {target}");
        }
    }

    #[test]
    fn names_the_authority_of_an_absolute_target() {
        for (target, host) in [
            ("HTTP://u:p@H.example:080/a", Some("h.example")),
            ("https://h:80", Some("h:80")),
            ("https://h:?q", Some("h")),
            ("http://[2001:DB8:0::1%25eth0]:81/", Some("[2001:db8::1]:81")),
            ("http://0x7f.1/", Some("127.0.0.1")),
            ("http://[::]/", None),
            ("/", None),
        ] {
            assert_eq!(of_absolute(target.as_bytes()).as_deref(), host, "{target}");
        }
    }
}
