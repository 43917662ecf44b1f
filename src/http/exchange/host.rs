//! The Host field beside a target in absolute form.
//!
//! # Differences from Kestrel
//!
//! STRICTNESS `absolute-form-case`: beside a target in absolute form, Host may be spelled as the target is; Kestrel
//! asks for the spelling of .NET's `Uri` (lower case, `127.1` as `127.0.0.1`, IPv6 compressed).

use super::target::{Scheme, split_absolute};
use crate::text::authority::{parse_ipv4, parse_ipv6, parse_port, split, without_userinfo};
use crate::text::host::is_valid;
use crate::text::ip::Ipv6Text;

/// Whether `host` names the authority of a target in absolute form.
pub(in crate::http) fn is_of_absolute(host: &[u8], target: &[u8]) -> bool {
    let Some((scheme, authority, _)) = split_absolute(target) else { return false };
    let authority = without_userinfo(authority);
    if host.eq_ignore_ascii_case(authority) {
        return true;
    }
    let (target_name, target_port) = split(authority);
    let (host_name, host_port) = split(host);
    is_same_port(scheme, host_port, target_port) && is_same_name(host_name, target_name)
}

/// The Host that names the authority of a target in absolute form, in the spelling of .NET's `Uri`; `None` if the
/// authority cannot be one.
pub(in crate::http) fn of_absolute(target: &[u8]) -> Option<String> {
    let (scheme, authority, _) = split_absolute(target)?;
    let (name, port) = split(without_userinfo(authority));
    let name = match (parse_ipv6(name), parse_ipv4(name)) {
        (Some(address), _) => format!("[{}]", Ipv6Text(address)),
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

#[cfg(test)]
mod tests {
    use super::*;

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
