//! Lists and parameters with quoted strings (RFC 9110, 5.6): `for="[::1]:80";proto=https, for=192.0.2.1`.

use std::borrow::Cow;

use super::octets::{TOKEN, is};

/// What stands between the delimiters that are in no quoted string, trimmed.
///
/// A quoted string begins a member or follows a `=`, and ends a member or a parameter. Any other quote is an octet as
/// others are: what somebody opened and did not close takes nothing from what the next one wrote behind it.
pub(crate) fn split(text: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = member_length(text, delimiter);
        rest = text.get(end + 1..);
        Some(trim(&text[..end]))
    })
}

fn member_length(text: &[u8], delimiter: u8) -> usize {
    let mut at = 0;
    let mut may_open = true;
    while let Some(&octet) = text.get(at) {
        if octet == delimiter {
            break;
        }
        if octet == b'"'
            && may_open
            && let Some(length) = quoted_length(&text[at..])
        {
            at += length;
            may_open = false;
            continue;
        }
        may_open = matches!(octet, b'=' | b',' | b';') || may_open && is_space(octet);
        at += 1;
    }
    at
}

/// How long the quoted string is that `text` begins with, its quotes included; `None` if it does not end, or something
/// else than a delimiter follows it.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    let mut behind = text[at + 1..].iter().skip_while(|octet| is_space(**octet));
    behind.next().is_none_or(|octet| b",;".contains(octet)).then_some(at + 1)
}

/// A quoted string without its quotes and backslashes; anything else is as it stands.
pub(crate) fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let is_quoted = value.first() == Some(&b'"') && quoted_length(value) == Some(value.len());
    if !is_quoted {
        return Cow::Borrowed(value);
    }
    let inside = &value[1..value.len() - 1];
    if !inside.contains(&b'\\') {
        return Cow::Borrowed(inside);
    }
    let mut text = Vec::with_capacity(inside.len());
    let mut octets = inside.iter();
    while let Some(&octet) = octets.next() {
        text.push(if octet == b'\\' { octets.next().copied().unwrap_or(octet) } else { octet });
    }
    Cow::Owned(text)
}

/// The name and the value of a parameter, `name=value`; `None` if it is none. The value is looser than a token: what
/// has no quotes around it must only have none inside.
pub(crate) fn parameter(text: &[u8]) -> Option<(&[u8], Cow<'_, [u8]>)> {
    let equals = text.iter().position(|&octet| octet == b'=')?;
    let (name, value) = (trim(&text[..equals]), trim(&text[equals + 1..]));
    let is_name = !name.is_empty() && name.iter().all(|&octet| is(octet, TOKEN));
    let text = unquoted(value);
    let is_value = text.len() != value.len() || !value.contains(&b'"');
    (is_name && is_value).then_some((name, text))
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&octet| !is_space(octet)).unwrap_or(text.len());
    let end = text.iter().rposition(|&octet| !is_space(octet)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// Optional white space (RFC 9110, 5.6.3), and nothing else that ASCII counts as such.
fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Vec<&str> {
        split(text.as_bytes(), b',').map(|member| std::str::from_utf8(member).unwrap()).collect()
    }

    #[test]
    fn splits_outside_of_quoted_strings() {
        for (text, expected) in [
            ("", &[""][..]),
            ("a ,\tb,,", &["a", "b", "", ""]),
            (r#""a, b" , "\"", c"#, &[r#""a, b""#, r#""\"""#, "c"]),
            (r#"x="a\",b";y="c,d", e"#, &[r#"x="a\",b";y="c,d""#, "e"]),
            (r#"x="a\\", b"#, &[r#"x="a\\""#, "b"]),
        ] {
            assert_eq!(members(text), expected, "{text}");
        }
    }

    #[test]
    fn a_quote_that_opens_nothing_takes_nothing_away() {
        for (text, expected) in [
            (r#"x="a, b"#, &[r#"x="a"#, "b"][..]),
            (r#"x="\, b"#, &[r#"x="\"#, "b"]),
            (r#"x="a, y="b""#, &[r#"x="a"#, r#"y="b""#]),
            (r#"x="a\, y="[b, c]""#, &[r#"x="a\"#, r#"y="[b, c]""#]),
            (r#"a"b, c"d"#, &[r#"a"b"#, r#"c"d"#]),
            // A line feed is no space: the first quote opens nothing.
            ("\n\";\"a,\"", &["\n\";\"a,\""]),
        ] {
            assert_eq!(members(text), expected, "{text}");
        }
    }

    #[test]
    fn a_parameter_is_a_name_and_a_value() {
        for (text, name, value) in [
            ("a=b", "a", "b"),
            ("a = b", "a", "b"),
            ("a=", "a", ""),
            (r#"a="""#, "a", ""),
            (r#"a="b\"\\c""#, "a", r#"b"\c"#),
            ("for=[::1]:80", "for", "[::1]:80"),
            ("a=b=c", "a", "b=c"),
        ] {
            let (seen_name, seen_value) = parameter(text.as_bytes()).unwrap();
            assert_eq!((seen_name, &*seen_value), (name.as_bytes(), value.as_bytes()), "{text}");
        }
        for text in ["", "a", "=b", "a b=c", r#"a="b"#, r#"a=b""#, r#"a="b\""#, r#"a="b"c"#, r#"a="b"""#] {
            assert_eq!(parameter(text.as_bytes()), None, "{text}");
        }
    }
}
