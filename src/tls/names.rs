//! Which entry of a table serves a server name (SNI).
//!
//! ```text
//! exact name, else the longest *.suffix, else *
//! ```
//!
//! Names are compared in Unicode and without regard to case, as Kestrel does: `bücher.example` in
//! the table serves a client that asks for `xn--bcher-kva.example`. An entry that no client can ask
//! for, as one in punycode or with a port, is an error that says what to write.
//!
//! # Differences from Kestrel
//!
//! A malformed name (`a..example.org`, `.example.org`, `example.org.`) and an IP address match only
//! `*`, as in Kestrel 11; Kestrel 10 may match them with a `*.` entry.

use std::collections::HashMap;
use std::net::IpAddr;

use rustls_pki_types::DnsName;

use crate::text::{host, host_name};

/// A table of server names.
#[derive(Clone, Debug)]
pub(super) struct NameTable<T> {
    exact: HashMap<String, T>,
    /// What follows the `*`, `.example.org`, the longest first.
    suffixes: Vec<(String, T)>,
    any: Option<T>,
}

impl<T> NameTable<T> {
    /// Of entries such as `a.example.org`, `*.example.org` and `*`; a later one replaces an equal
    /// earlier one.
    pub(super) fn new(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut table = Self { exact: HashMap::new(), suffixes: Vec::new(), any: None };
        for (name, value) in entries {
            let name = name.to_lowercase();
            match name.strip_prefix('*') {
                Some("") => table.any = Some(value),
                Some(suffix) if suffix.starts_with('.') => {
                    table.suffixes.retain(|(other, _)| other != suffix);
                    table.suffixes.push((suffix.to_owned(), value));
                }
                _ => {
                    table.exact.insert(name, value);
                }
            }
        }
        table.suffixes.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table
    }

    pub(super) fn find(&self, name: Option<&str>) -> Option<&T> {
        let named = name.filter(|name| is_well_formed(name)).and_then(|name| {
            let name = to_unicode(&name.to_lowercase());
            self.exact.get(&name).or_else(|| {
                let suffix = self.suffixes.iter().find(|(suffix, _)| name.ends_with(suffix.as_str()));
                suffix.map(|(_, value)| value)
            })
        });
        named.or(self.any.as_ref())
    }
}

/// Whether some client can ask for what an entry is for; if not, what to write.
pub(super) fn check_entry(entry: &str) -> Result<(), String> {
    let (any, name) = entry.strip_prefix("*.").map_or(("", entry), |name| ("*.", name));
    if entry == "*" {
        return Ok(());
    }
    if name.parse::<IpAddr>().is_ok() || name.starts_with('[') {
        return Err("no client asks for an IP address; `*` is for those that ask for no name".to_owned());
    }
    if let Some(name) = entry.strip_suffix('.').filter(|name| check_entry(name).is_ok()) {
        return Err(format!("clients ask for names without a dot at the end; write {name:?}"));
    }
    host_name::of_pattern(entry).map_err(|why| why.to_string())?;
    let name = name.to_lowercase();
    let asked =
        host::to_ascii(&name).filter(|asked| DnsName::try_from(&**asked).is_ok() && is_well_formed(asked));
    match asked.map(|asked| to_unicode(&asked)) {
        None => Err("no client can ask for it: it is no name of DNS".to_owned()),
        Some(compared) if compared == name => Ok(()),
        Some(compared) => Err(format!("names are compared in Unicode; write \"{any}{compared}\"")),
    }
}

/// Whether the name may mean an entry other than `*`.
pub(super) fn is_well_formed(name: &str) -> bool {
    name.parse::<IpAddr>().is_err()
        && !name.contains(['\0', '[', ']', ':'])
        && name.len() <= 253
        && name.split('.').all(|label| !label.is_empty() && label.len() <= 63)
}

/// Turns labels in punycode into Unicode; one that is none is left as it is.
fn to_unicode(name: &str) -> String {
    // Without the feature `idn` no entry is in Unicode.
    if cfg!(not(feature = "idn")) || !name.contains("xn--") {
        return name.to_owned();
    }
    let labels = name.split('.').map(|label| {
        let decoded = label.strip_prefix("xn--").and_then(decode_punycode);
        decoded.unwrap_or_else(|| label.to_owned())
    });
    labels.collect::<Vec<_>>().join(".")
}

/// RFC 3492 section 6.2, with its parameters for IDNA.
fn decode_punycode(text: &str) -> Option<String> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    let (basic, digits) = text.rsplit_once('-').unwrap_or(("", text));
    let mut output: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (128_u32, 0_u32, 72_u32);
    let mut digits = digits.bytes().peekable();
    while digits.peek().is_some() {
        let (before, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let digit = match digits.next()? {
                letter @ b'a'..=b'z' => u32::from(letter - b'a'),
                number @ b'0'..=b'9' => u32::from(number - b'0') + 26,
                _ => return None,
            };
            i = i.checked_add(digit.checked_mul(weight)?)?;
            let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if digit < threshold {
                break;
            }
            weight = weight.checked_mul(BASE - threshold)?;
            k += BASE;
        }
        let points = u32::try_from(output.len()).ok()? + 1;
        let mut delta = (i - before) / if before == 0 { 700 } else { 2 };
        delta += delta / points;
        let mut rounds = 0;
        while delta > (BASE - T_MIN) * T_MAX / 2 {
            delta /= BASE - T_MIN;
            rounds += BASE;
        }
        bias = rounds + (BASE - T_MIN + 1) * delta / (delta + 38);
        n = n.checked_add(i / points)?;
        i %= points;
        output.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(output.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&'static str]) -> NameTable<&'static str> {
        NameTable::new(names.iter().map(|name| ((*name).to_owned(), *name)))
    }

    #[test]
    fn exact_before_the_longest_suffix_before_any() {
        let table = table(&["*", "*.example.org", "*.b.example.org", "a.example.org"]);
        for (name, expected) in [
            (Some("a.example.org"), "a.example.org"),
            (Some("A.Example.ORG"), "a.example.org"),
            (Some("x.a.example.org"), "*.example.org"),
            (Some("x.y.b.example.org"), "*.b.example.org"),
            (Some("example.org"), "*"),
            (None, "*"),
        ] {
            assert_eq!(table.find(name), Some(&expected), "{name:?}");
        }
    }

    #[test]
    fn a_malformed_name_matches_only_any() {
        let names =
            ["a..example.org", ".example.org", "a.example.org.", "192.0.2.1", "::1", "a\0.example.org", ""];
        let entries = ["*.example.org", "a.example.org.", "192.0.2.1", "::1", ""];
        let with_any = table(&[&entries[..], &["*"]].concat());
        for name in names {
            assert_eq!(table(&entries).find(Some(name)), None, "{name:?}");
            assert_eq!(with_any.find(Some(name)), Some(&"*"), "{name:?}");
        }
    }

    #[cfg(feature = "idn")]
    #[test]
    fn an_entry_that_serves_nobody_says_what_to_write() {
        for entry in [
            "*",
            "a",
            "localhost",
            "*.example.org",
            "a_b.example",
            "bücher.example",
            "BÜCHER.example",
            "*.bücher.example",
        ] {
            assert_eq!(check_entry(entry), Ok(()), "{entry}");
        }
        for (entry, meant) in [
            ("https://a/", "\"a\""),
            ("a:8080", "\"a\""),
            ("*.a:443", "\"*.a\""),
            ("a b", "one name"),
            ("*.com*", "\"*.example.com\""),
            ("a.*.com", "\"*.example.com\""),
            ("**", "\"*.example.com\""),
            ("", "one name"),
            ("192.0.2.1", "`*`"),
            ("::1", "`*`"),
            ("[::1]", "`*`"),
            ("a.example.", "\"a.example\""),
            ("*.a.example.", "\"*.a.example\""),
            ("a..example", "no name of DNS"),
            (".example", "no name of DNS"),
            ("-a.example", "no name of DNS"),
            ("xn--bcher-kva.example", "\"bücher.example\""),
            ("*.XN--bcher-kva.example", "\"*.bücher.example\""),
            ("ｅxample.com", "\"example.com\""),
        ] {
            let why = check_entry(entry).unwrap_err();
            assert!(why.contains(meant), "{entry}: {why}");
        }
    }

    #[cfg(feature = "idn")]
    #[test]
    fn names_are_compared_in_unicode() {
        let unicode = table(&["bücher.example", "*.münchen.example"]);
        assert!(unicode.find(Some("XN--BCHER-KVA.example")).is_some());
        assert!(unicode.find(Some("a.xn--mnchen-3ya.example")).is_some());
        assert!(table(&["xn--bcher-kva.example"]).find(Some("xn--bcher-kva.example")).is_none());
        assert!(table(&["xn--99999999.example"]).find(Some("xn--99999999.example")).is_some());
    }
}
