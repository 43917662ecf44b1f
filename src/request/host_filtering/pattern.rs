//! The list of allowed hosts, and how a host is compared with it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, ErrorKind};
use crate::text::host;

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
    /// These hosts; an error if there are none, or if one can be no name.
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
        let mut all = Vec::new();
        for pattern in patterns {
            let pattern = to_ascii(pattern.as_ref())?;
            if matches!(&*pattern, "*" | "[::]" | "0.0.0.0") {
                return Ok(Self::Any);
            }
            all.push(pattern.into());
        }
        if all.is_empty() {
            let message = "the list of allowed hosts is empty; to allow every host, say \"*\"";
            return Err(Error::new(ErrorKind::Option, message));
        }
        Ok(Self::Some(all.into()))
    }

    fn contains(&self, host: &[u8]) -> bool {
        let Self::Some(patterns) = self else { return true };
        let (name, port) = host::split(host);
        port.iter().all(u8::is_ascii_digit)
            && patterns.iter().any(|pattern| matches_one(pattern.as_bytes(), &name))
    }
}

fn matches_one(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    // At least one octet before the dot: `.example.com` is not below `example.com`.
    pattern.strip_prefix(b"*").is_some_and(|root| {
        root.starts_with(b".")
            && name.len() > root.len()
            && name[name.len() - root.len()..].eq_ignore_ascii_case(root)
    })
}

/// A pattern as the header of a request would spell it.
fn to_ascii(pattern: &str) -> Result<Cow<'_, str>, Error> {
    let is_safe = |octet: u8| octet.is_ascii_alphanumeric() || b"%-.:[]_".contains(&octet);
    if pattern.bytes().all(is_safe) {
        return Ok(Cow::Borrowed(pattern));
    }
    let (name, port) = host::split(pattern.as_bytes());
    // Cut at ASCII characters, so it is text.
    let (name, port) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(port));
    let Some(name) = host::to_ascii(&name) else {
        let message = format!("the allowed host {pattern:?} can be no name of a host");
        return Err(Error::new(ErrorKind::Option, message));
    };
    Ok(Cow::Owned(if port.is_empty() { name.into_owned() } else { format!("{name}:{port}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(pattern: &str, host: &str) -> bool {
        AllowedHosts::new([pattern]).unwrap().contains(host.as_bytes())
    }

    #[test]
    fn compares_without_port_and_case() {
        for (pattern, host) in [
            ("localHost", "LOCALhost:9090"),
            ("*.exampLe.com", "foo.eXample.com:443"),
            ("[::ABC]", "[::aBc]:1"),
            ("[::1]", "::1"),
            ("bücher.example", "XN--BCHER-KVA.example"),
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
            ("example.com:80", "example.com:80"),
            ("[::1]", "[::1"),
            ("**", "a"),
        ] {
            assert!(!is_allowed(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn refuses_what_can_be_no_name() {
        for pattern in ["é..example", "a\0b", "-é.example"] {
            assert!(
                AllowedHosts::new([pattern]).unwrap_err().to_string().contains("allowed host"),
                "{pattern}"
            );
        }
        let hosts = AllowedHosts::new(["a"]).unwrap();
        assert!(hosts.set(["é..example"]).is_err());
        assert!(hosts.contains(b"a"));
    }
}
