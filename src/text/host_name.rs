//! Names of hosts, without their ports: what a request names, and what somebody wrote into a list beforehand.
//!
//! Whatever a list is compared with has gone through the grammar of a Host first, and an entry that no such host can
//! be equal to is an error that says what to write.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use super::authority::host_length;
use super::host;

/// The name, or the address with its brackets, of a host with or without a port; `None` if the host is none.
pub(crate) fn of(host: &[u8]) -> Option<&str> {
    let host = std::str::from_utf8(host).ok().filter(|_| host::is_valid(host))?;
    Some(split(host).0)
}

/// As [`of`], with a name in Unicode turned into the spelling of a header.
pub(crate) fn of_any_script(host: &[u8]) -> Option<Cow<'_, str>> {
    if host.is_ascii() {
        return of(host).map(Cow::Borrowed);
    }
    let (name, port) = split(std::str::from_utf8(host).ok()?);
    let name = host::to_ascii(name)?;
    host::is_valid([&name, port].concat().as_bytes()).then(|| Cow::Owned(name.into_owned()))
}

/// The name that an entry of a list is compared by, as a header spells it.
pub(crate) fn of_entry(text: &str) -> Result<Cow<'_, str>, NotAName> {
    spelled(text).ok_or_else(|| NotAName::new(text, Entries::Names))
}

/// As [`of_entry`], for a list that takes `*.example.com` too.
pub(crate) fn of_pattern(text: &str) -> Result<Cow<'_, str>, NotAName> {
    spelled_pattern(text).ok_or_else(|| NotAName::new(text, Entries::Patterns))
}

fn spelled_pattern(text: &str) -> Option<Cow<'_, str>> {
    let Some(root) = text.strip_prefix("*.") else { return spelled(text) };
    // Below an address there is nothing.
    let root = spelled(root).filter(|root| !root.starts_with('['))?;
    Some(Cow::Owned(["*.", &root].concat()))
}

/// A name without a port.
fn spelled(text: &str) -> Option<Cow<'_, str>> {
    let name = if text.is_ascii() { Cow::Borrowed(text) } else { host::to_ascii(text)? };
    let is_name = host::is_valid(name.as_bytes()) && split(&name).1.is_empty();
    is_name.then_some(name)
}

/// Where a port begins; the colon is part of it.
fn split(host: &str) -> (&str, &str) {
    host.split_at(host_length(host.as_bytes()))
}

/// What a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entries {
    Names,
    Patterns,
}

/// Why an entry can never match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotAName {
    text: Box<str>,
    entries: Entries,
    meant: Option<String>,
}

impl NotAName {
    fn new(text: &str, entries: Entries) -> Self {
        Self { text: text.into(), entries, meant: meant(text, entries) }
    }
}

impl std::fmt::Display for NotAName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no request can name {:?} as its host; ", self.text)?;
        match &self.meant {
            Some(meant) => write!(f, "write {meant:?}"),
            None if !self.text.is_ascii() && cfg!(not(feature = "idn")) => {
                f.write_str("names in Unicode take the cargo feature `idn`; turn it on, or write punycode (xn--)")
            }
            None if self.entries == Entries::Patterns && self.text.contains('*') => {
                f.write_str("a `*` stands before a dot, for all that is below a name: \"*.example.com\"")
            }
            None => f.write_str(
                "write one name or IP address, IPv6 in brackets, without scheme, port or path: \"example.com\"",
            ),
        }
    }
}

/// What is left of an address without what is no host; `None` if that is no entry either.
fn meant(text: &str, entries: Entries) -> Option<String> {
    let text = text.trim();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next()?;
    let text = text.rsplit('@').next()?;
    let name = if text.parse::<Ipv6Addr>().is_ok() { format!("[{text}]") } else { split(text).0.to_owned() };
    let fits = match entries {
        Entries::Names => spelled(&name).is_some(),
        Entries::Patterns => spelled_pattern(&name).is_some(),
    };
    fits.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "idn")]
    #[test]
    fn only_what_the_grammar_takes_has_a_name() {
        for (host, name) in [
            ("a", Some("a")),
            ("A.example:80", Some("A.example")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("evil.test/.example.com", None),
            ("a b", None),
            ("u@a", None),
            ("a:", None),
            ("a:x", None),
            ("::1", None),
            ("[::1]80", None),
            ("", None),
            (":80", None),
            ("é.example", None),
        ] {
            assert_eq!(of(host.as_bytes()), name, "{host}");
        }
        assert_eq!(of_any_script("bücher.example:1".as_bytes()).unwrap(), "xn--bcher-kva.example");
        assert_eq!(of_any_script("bücher.example/x".as_bytes()), None);
        assert_eq!(of_any_script("bücher.example:x".as_bytes()), None);
    }

    #[cfg(feature = "idn")]
    #[test]
    fn an_entry_that_no_host_is_says_what_to_write() {
        assert_eq!(of_entry("bücher.example").unwrap(), "xn--bcher-kva.example");
        assert_eq!(of_entry("[::1]").unwrap(), "[::1]");
        assert_eq!(of_pattern("*.bücher.example").unwrap(), "*.xn--bcher-kva.example");
        assert!(of_entry("*.example.com").unwrap_err().to_string().contains("one name"));
        for (entry, meant) in [
            ("https://a/", "\"a\""),
            ("//a/b", "one name"),
            ("a:8080", "\"a\""),
            ("a/", "\"a\""),
            ("u@a", "\"a\""),
            (" a ", "\"a\""),
            ("::1", "\"[::1]\""),
            ("[::1]:80", "\"[::1]\""),
            ("a b", "one name"),
            ("a,b", "one name"),
            ("", "one name"),
            ("*.com*", "below a name"),
            ("*.[::1]", "below a name"),
            ("http://*.a.example:80/", "\"*.a.example\""),
            ("é..example", "one name"),
        ] {
            let why = of_pattern(entry).unwrap_err().to_string();
            assert!(why.contains(meant), "{entry}: {why}");
        }
    }
}
