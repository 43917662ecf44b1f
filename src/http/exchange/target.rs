//! Request targets (RFC 9112, 3.2): which form, which octets, and the path that the application sees.
//!
//! Kestrel decodes a path once and then removes its dot segments. A Router matches on the encoded path, so here
//! only what means the same raw is decoded: `/%61/%2e%2e/b%2Fc` is seen as `/b%2Fc`.
//!
//! # Differences from Kestrel
//!
//! STRICTNESS `target-octets`, `fragment-in-target`, `absolute-form-path`, `absolute-form-case`.

use http::Uri;
use http::uri::PathAndQuery;
use memchr::{memchr, memmem};

use super::rejection::Rejection;
use crate::text::authority::is_valid as is_valid_authority;
use crate::text::octets::{AUTHORITY, CLASS, NOT_PATH, NOT_QUERY, NOT_RFC3986, PCHAR, is};
use crate::text::percent::triplet;

/// `http::Uri` counts in 16 bits.
const MAX_TARGET: usize = 65_534;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Checked {
    pub(in crate::http) form: Form,
    /// The path has a `%` or what may be a dot segment.
    pub(in crate::http) normalize: bool,
}

/// Whether a target, not empty, can be taken with this method.
#[inline]
pub(in crate::http) fn check(method: &[u8], target: &[u8], strict: bool) -> Result<Checked, Rejection> {
    if target.len() > MAX_TARGET {
        return Err(Rejection::RequestLineTooLong);
    }
    if target[0] == b'/' {
        let normalize = path_and_query(target, strict)?;
        return Ok(Checked { form: Form::Origin, normalize });
    }
    other_form(method, target, strict)
}

#[cold]
fn other_form(method: &[u8], target: &[u8], strict: bool) -> Result<Checked, Rejection> {
    let form = |form| Ok(Checked { form, normalize: false });
    if target == b"*" {
        return if method == b"OPTIONS" {
            form(Form::Asterisk)
        } else {
            Err(Rejection::OptionsMethodRequired)
        };
    }
    let Some((_, authority, rest)) = split_absolute(target) else {
        if !target.iter().all(|&octet| is(octet, AUTHORITY)) {
            return Err(Rejection::InvalidRequestTarget);
        }
        if method != b"CONNECT" {
            return Err(Rejection::ConnectMethodRequired);
        }
        // What is no `Uri` cannot be shown to the app.
        return match Uri::try_from(target) {
            Ok(uri) if uri.authority().is_some() && uri.scheme().is_none() => form(Form::Authority),
            _ => Err(Rejection::InvalidRequestTarget),
        };
    };
    if !is_valid_authority(authority) {
        return Err(Rejection::InvalidRequestTarget);
    }
    let normalize = path_and_query(rest, strict)?;
    match Uri::try_from(target) {
        Ok(uri) if uri.authority().is_some_and(|seen| seen.as_str().as_bytes() == authority) => {
            Ok(Checked { form: Form::Absolute, normalize })
        }
        _ => Err(Rejection::InvalidRequestTarget),
    }
}

/// Scheme, authority and the rest of `http://authority/path?query`.
pub(in crate::http) fn split_absolute(target: &[u8]) -> Option<(Scheme, &[u8], &[u8])> {
    let starts =
        |prefix: &[u8]| target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let (scheme, rest) = if starts(b"http://") {
        (Scheme::Http, &target[7..])
    } else if starts(b"https://") {
        (Scheme::Https, &target[8..])
    } else {
        return None;
    };
    let end = rest.iter().position(|octet| b"/?#".contains(octet)).unwrap_or(rest.len());
    Some((scheme, &rest[..end], &rest[end..]))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(in crate::http) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Whether every octet may stand where it stands; `true` if the path needs [`normalize`].
#[inline]
pub(in crate::http) fn path_and_query(target: &[u8], strict: bool) -> Result<bool, Rejection> {
    let (path, query) = match memchr(b'?', target) {
        Some(at) => target.split_at(at),
        None => (target, &[][..]),
    };
    let (mut seen, mut percent, mut dots) = (0, false, false);
    let mut last = 0;
    for &octet in path {
        seen |= CLASS[usize::from(octet)];
        percent |= octet == b'%';
        dots |= octet == b'.' && last == b'/';
        last = octet;
    }
    let mut seen_in_query = 0;
    for &octet in query {
        seen_in_query |= CLASS[usize::from(octet)];
    }
    if seen & NOT_PATH != 0 || seen_in_query & NOT_QUERY != 0 {
        return Err(Rejection::InvalidRequestTarget);
    }
    // `%00` is refused in a path only. A `%` is never part of another triplet, so the text is the NUL.
    if percent && memmem::find(path, b"%00").is_some() {
        return Err(Rejection::InvalidRequestTarget);
    }
    if strict && ((seen | seen_in_query) & NOT_RFC3986 != 0 || has_stray_percent(target)) {
        return Err(Rejection::InvalidRequestTarget);
    }
    Ok(percent || dots)
}

fn has_stray_percent(target: &[u8]) -> bool {
    memchr::memchr_iter(b'%', target).any(|at| triplet(&target[at..]).is_none())
}

/// The URI that the application sees; `None` when it is the one that came.
///
/// Decoded are the octets that a path segment may have raw and that then mean nothing else: not `/`, `%`, `?`, `#`,
/// controls, space, nor anything outside ASCII. The query, and targets without a path, stay.
pub(crate) fn normalize(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.starts_with('/') || !(path.contains('%') || path.contains("/.")) {
        return None;
    }
    let mut new = decode(path.as_bytes());
    remove_dot_segments(&mut new);
    if new == path.as_bytes() {
        return None;
    }
    if let Some(query) = uri.query() {
        new.push(b'?');
        new.extend_from_slice(query.as_bytes());
    }
    let mut parts = uri.clone().into_parts();
    // Never longer than what came, and only octets that `Uri` takes raw: this cannot fail.
    parts.path_and_query = Some(PathAndQuery::try_from(new).ok()?);
    Uri::from_parts(parts).ok()
}

fn decode(path: &[u8]) -> Vec<u8> {
    let mut new = Vec::with_capacity(path.len());
    // Where a `%` stands in `new` that begins no triplet in `path`.
    let mut stray = None;
    let mut at = 0;
    while at < path.len() {
        match triplet(&path[at..]) {
            Some(octet) if is(octet, PCHAR) => {
                new.push(octet);
                at += 3;
            }
            Some(_) => {
                new.extend_from_slice(&path[at..at + 3]);
                at += 3;
            }
            None => {
                if path[at] == b'%' {
                    stray = Some(new.len());
                }
                new.push(path[at]);
                at += 1;
            }
        }
        // `%%341` is the text `%41`: decoded again it must not become `A`. This never makes the path longer than it
        // came, because one of the two digits was a triplet.
        if let Some(position) = stray
            && new.len() > position + 2
        {
            if new.len() == position + 3 && triplet(&new[position..]).is_some() {
                new.insert(position + 1, b'5');
                new.insert(position + 1, b'2');
            }
            stray = None;
        }
    }
    new
}

/// RFC 3986, 5.2.4, in place, for a path that starts with `/`.
fn remove_dot_segments(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        // `read` is at a slash.
        let end = memchr(b'/', &path[read + 1..]).map_or(path.len(), |at| read + 1 + at);
        match &path[read + 1..end] {
            b"." => {}
            b".." => write = memchr::memrchr(b'/', &path[..write]).unwrap_or(0),
            _ => {
                path.copy_within(read..end, write);
                write += end - read;
                read = end;
                continue;
            }
        }
        read = end;
        if read == path.len() {
            // The last segment was dots: its slash stays.
            path[write] = b'/';
            write += 1;
        }
    }
    path.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(target: &str) -> String {
        let uri: Uri = target.parse().unwrap();
        normalize(&uri).unwrap_or(uri).to_string()
    }

    #[test]
    fn decodes_once_and_removes_dots() {
        for (sent, expected) in [
            ("/", "/"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b?x=/../%41", "/b?x=/../%41"),
            ("/%41%2f%2F%25%20", "/A%2f%2F%25%20"),
            ("/..%2Fa", "/..%2Fa"),
            ("/a//..", "/a/"),
            ("//..//a", "//a"),
            ("/..", "/"),
            ("/...", "/..."),
            ("/a/.", "/a/"),
            ("/%252e%252e/a", "/%252e%252e/a"),
            ("/%C3%A9/%c3", "/%C3%A9/%c3"),
            ("/%", "/%"),
            ("/%%341", "/%2541"),
            ("/%4%31", "/%2541"),
            ("/%%%34%31", "/%%2541"),
            ("/%zz/%61", "/%zz/a"),
            ("http://u@h:1/a/../%62?q", "http://u@h:1/b?q"),
            ("http://h?q", "http://h/?q"),
            ("*", "*"),
            ("h:443", "h:443"),
        ] {
            assert_eq!(seen(sent), expected, "{sent}");
        }
    }

    #[test]
    fn is_idempotent_and_never_longer() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..20_000 {
            let mut path = String::from("/");
            for _ in 0..12 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                path.push_str(
                    ["%", "%2", "%34", "4", "1", "%2e", ".", "/", "%2F", "%25", "a", "2"]
                        [(random % 12) as usize],
                );
            }
            let once = seen(&path);
            assert!(once.len() <= path.len(), "{path} {once}");
            assert_eq!(seen(&once), once, "{path}");
        }
    }

    #[test]
    fn refuses_at_the_request_line() {
        let refused = |method: &str, target: &str| check(method.as_bytes(), target.as_bytes(), false).err();
        assert_eq!(refused("GET", "*"), Some(Rejection::OptionsMethodRequired));
        assert_eq!(refused("OPTIONS", "*"), None);
        assert_eq!(refused("GET", "a:1"), Some(Rejection::ConnectMethodRequired));
        assert_eq!(refused("GET", "a_b:1"), Some(Rejection::InvalidRequestTarget));
        assert_eq!(refused("CONNECT", "a:1"), None);
        assert_eq!(refused("GET", "/a#b"), Some(Rejection::InvalidRequestTarget));
        assert_eq!(refused("GET", "/%00"), Some(Rejection::InvalidRequestTarget));
        assert_eq!(refused("GET", "/?%00"), None);
        assert_eq!(refused("GET", "/[|]?{}|\\^`"), None);
        let strict = |target: &str| check(b"GET", target.as_bytes(), true).err();
        assert_eq!(strict("/a?b=[c]"), Some(Rejection::InvalidRequestTarget));
        assert_eq!(strict("/%4"), Some(Rejection::InvalidRequestTarget));
        assert_eq!(strict("/%41/a;b=c:@?d/?e%20"), None);
        let long = format!("/{}", "a".repeat(65_534));
        assert_eq!(strict(&long), Some(Rejection::RequestLineTooLong));
    }
}
