//! The host that a request names.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::authority::without_userinfo;
use super::lines::joined;
use super::octets::{HOST as HOST_OCTET, is};

/// The host and port that a request names: the authority of its URI (HTTP/2's `:authority`), else its Host header.
/// Several Host lines are one with commas between, which no host has.
pub(crate) fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Cow<'a, [u8]> {
    match uri.authority() {
        Some(authority) => Cow::Borrowed(without_userinfo(authority.as_str().as_bytes())),
        None => of_header(headers),
    }
}

/// As [`of`], but of the header alone.
pub(crate) fn of_header(headers: &HeaderMap) -> Cow<'_, [u8]> {
    joined(headers, &HOST)
}

/// Kestrel's grammar of a Host that is not empty: looser than RFC 3986 for names, no range for ports.
#[inline]
pub(crate) fn is_valid(host: &[u8]) -> bool {
    if host.first() == Some(&b'[') {
        let end = host.iter().skip(1).position(|octet| !octet.is_ascii_hexdigit() && !b":.".contains(octet));
        // `[::]` is no host for Kestrel: three octets at least.
        return end.is_some_and(|end| end >= 3 && host[end + 1] == b']' && is_port(&host[end + 2..]));
    }
    let end = host.iter().position(|&octet| !is(octet, HOST_OCTET)).unwrap_or(host.len());
    end > 0 && is_port(&host[end..])
}

/// Nothing, or a colon and digits.
fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// A name as it stands in a header: punycode where it is not ASCII. `None`: no name can be written so, or it takes the
/// feature `idn`.
///
/// With the checks that .NET's `IdnMapping` does: lengths, empty labels, hyphens at the ends of a label, control
/// characters; every other ASCII character may stand in a name.
pub(crate) fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    let checked = !name.is_empty() && !name.bytes().any(|octet| octet.is_ascii_control());
    checked.then(|| spell(name))?
}

#[cfg(feature = "idn")]
fn spell(name: &str) -> Option<Cow<'_, str>> {
    use idna::AsciiDenyList;
    use idna::uts46::{DnsLength, Hyphens, Uts46};

    let (any, hyphens, lengths) =
        (AsciiDenyList::EMPTY, Hyphens::CheckFirstLast, DnsLength::VerifyAllowRootDot);
    Uts46::new().to_ascii(name.as_bytes(), any, hyphens, lengths).ok()
}

/// As above for names in ASCII, but that what is behind `xn--` is not looked at.
#[cfg(not(feature = "idn"))]
fn spell(name: &str) -> Option<Cow<'_, str>> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let fits =
        |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    let is_name = name.is_ascii() && labels.len() <= 253 && labels.split('.').all(fits);
    is_name.then(|| Cow::Owned(name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_like_kestrel() {
        for host in [
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
            "",
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
    fn a_name_in_ascii_is_checked() {
        assert_eq!(to_ascii("*.A.example.").as_deref(), Some("*.a.example."));
        let (label, name) = ("a".repeat(63), [&*"a.".repeat(126), "a"].concat());
        for good in ["a b", "xn--9ca", "_", &label, &name] {
            assert_eq!(to_ascii(good).as_deref(), Some(good));
        }
        let (label, name) = ("a".repeat(64), "a.".repeat(127) + "a");
        for bad in ["", ".", "a..b", ".a", "a..", "-a", "a-.b", "a\0", &label, &name] {
            assert_eq!(to_ascii(bad), None, "{bad:?}");
        }
    }

    #[cfg(feature = "idn")]
    #[test]
    fn a_name_is_written_in_ascii() {
        assert_eq!(to_ascii("Bücher。Example").as_deref(), Some("xn--bcher-kva.example"));
        assert_eq!(to_ascii("*.é.").as_deref(), Some("*.xn--9ca."));
        for name in ["", "a..é", "-é", "xn--a-.example", "a\0é"] {
            assert_eq!(to_ascii(name), None, "{name:?}");
        }
    }
}
