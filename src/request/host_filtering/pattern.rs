//! The list of allowed hosts, and how a host is compared with it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, ErrorKind};
use crate::text::host_name;

/// A list of host patterns that can change while the server runs.
///
/// All clones are one list. The patterns are explained in the page of the
/// [layer](super::HostFilteringLayer)'s module.
///
/// As text it is what ASP.NET Core's configuration key `AllowedHosts` holds: patterns with semicolons between; nothing
/// at all is every host.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::AllowedHosts;
///
/// let hosts: AllowedHosts = "example.com;*.example.com".parse()?;
/// let same = hosts.clone();
/// same.set(["example.org"])?;
/// assert_eq!(format!("{hosts:?}"), r#"AllowedHosts(["example.org"])"#);
/// assert!(AllowedHosts::new([""; 0]).is_err());
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone)]
pub struct AllowedHosts(Arc<RwLock<Patterns>>);

#[derive(PartialEq, Eq)]
enum Patterns {
    Any,
    /// In ASCII.
    Some(Box<[Box<str>]>),
}

impl AllowedHosts {
    /// These hosts; an error if there are none, and for one that no request can name (`https://a/`, `a:8080`).
    pub fn new<I>(patterns: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Ok(Self::from(Patterns::new(patterns)?))
    }

    /// Every host.
    pub fn any() -> Self {
        Self::from(Patterns::Any)
    }

    /// Replaces the list for the requests that follow. After an error the old list stays.
    pub fn set<I>(&self, patterns: I) -> Result<(), Error>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let patterns = Patterns::new(patterns)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = patterns;
        Ok(())
    }

    /// Whether a host that is not empty, with or without port, is in the list.
    pub(crate) fn contains(&self, host: &[u8]) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(host)
    }
}

impl From<Patterns> for AllowedHosts {
    fn from(patterns: Patterns) -> Self {
        Self(Arc::new(RwLock::new(patterns)))
    }
}

impl FromStr for AllowedHosts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut patterns = text.split(';').filter(|pattern| !pattern.is_empty()).peekable();
        if patterns.peek().is_none() { Ok(Self::any()) } else { Self::new(patterns) }
    }
}

impl fmt::Debug for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Patterns::Any => f.write_str("AllowedHosts(any)"),
            Patterns::Some(patterns) => f.debug_tuple("AllowedHosts").field(patterns).finish(),
        }
    }
}

impl Patterns {
    fn new<I>(patterns: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let (mut any, mut all) = (false, Vec::new());
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if matches!(pattern, "*" | "[::]" | "0.0.0.0") {
                any = true;
                continue;
            }
            let pattern = host_name::of_pattern(pattern)
                .map_err(|why| Error::new(ErrorKind::Option, format!("allowed hosts: {why}")))?;
            all.push(pattern.into());
        }
        if any {
            return Ok(Self::Any);
        }
        if all.is_empty() {
            let message = "the list of allowed hosts is empty; to allow every host, say \"*\"";
            return Err(Error::new(ErrorKind::Option, message));
        }
        Ok(Self::Some(all.into()))
    }

    fn contains(&self, host: &[u8]) -> bool {
        let Self::Some(patterns) = self else { return true };
        host_name::of(host).is_some_and(|name| patterns.iter().any(|pattern| matches_one(pattern, name)))
    }
}

fn matches_one(pattern: &str, name: &str) -> bool {
    let Some(root) = pattern.strip_prefix('*') else { return pattern.eq_ignore_ascii_case(name) };
    // At least one octet before the dot: `.example.com` is not below `example.com`.
    let below = name.len().checked_sub(root.len()).filter(|below| *below > 0);
    below.is_some_and(|below| name.as_bytes()[below..].eq_ignore_ascii_case(root.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(pattern: &str, host: &str) -> bool {
        AllowedHosts::new([pattern]).unwrap().contains(host.as_bytes())
    }

    #[cfg(feature = "idn")]
    #[test]
    fn compares_without_port_and_case() {
        for (pattern, host) in [
            ("localHost", "LOCALhost:9090"),
            ("*.exampLe.com", "foo.eXample.com:443"),
            ("[::ABC]", "[::aBc]:1"),
            ("bücher.example", "XN--BCHER-KVA.example"),
            ("*.bücher.example", "a.xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("0.0.0.0", "malformed:port"),
        ] {
            assert!(is_allowed(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", ".example.com"),
            ("*.example.com", "foo.example.com.bar"),
            ("example.com", "example.com:80a"),
            ("example.com", ":80"),
            ("[::1]", "[::1"),
        ] {
            assert!(!is_allowed(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn what_is_no_host_is_in_no_list() {
        for host in [
            "evil.test/.example.com",
            "evil.test?.example.com",
            "evil.test#.example.com",
            "evil.test\\.example.com",
            "u@a.example.com",
            "a b.example.com",
            "*.example.com",
            "a.example.com:",
            "a:1:b.example.com",
            "a.example.com,b.example.com",
            "é.example.com",
        ] {
            assert!(!is_allowed("*.example.com", host), "{host}");
        }
        assert!(!is_allowed("[::1]", "[::1]80"));
        assert!(!is_allowed("[::1]", "::1"));
    }

    #[cfg(feature = "idn")]
    #[test]
    fn refuses_what_can_match_no_host() {
        for (pattern, meant) in [
            ("https://a/", "\"a\""),
            ("a:8080", "\"a\""),
            ("a b", "one name"),
            ("*.com*", "below a name"),
            ("**", "below a name"),
            ("*:80", "below a name"),
            ("*.", "below a name"),
            ("*.*.com", "below a name"),
            ("*example.com", "below a name"),
            ("*.[::1]", "below a name"),
            ("*.example.com:80", "\"*.example.com\""),
            ("::1", "\"[::1]\""),
            ("", "one name"),
            ("é..example", "one name"),
            ("a\0b", "one name"),
            ("-é.example", "one name"),
        ] {
            let error = AllowedHosts::new(["*", pattern]).unwrap_err();
            assert!(error.is_option() && error.to_string().contains(meant), "{pattern}: {error}");
        }
        let hosts = AllowedHosts::new(["a"]).unwrap();
        assert!(hosts.set(["é..example"]).is_err());
        assert!(hosts.set([""; 0]).is_err());
        assert!(hosts.set("".split(';')).is_err());
        assert!(hosts.contains(b"a") && !hosts.contains(b"b"));
    }
}
