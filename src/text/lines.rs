//! A header that has several lines, as one.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The lines of a header that are not empty, with commas between (RFC 9110, 5.3); empty if there is none.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, [u8]> {
    let lines = || headers.get_all(name).iter().map(HeaderValue::as_bytes).filter(|line| !line.is_empty());
    let mut some = lines();
    match (some.next(), some.next()) {
        (None, _) => Cow::Borrowed(b""),
        (Some(line), None) => Cow::Borrowed(line),
        _ => Cow::Owned(lines().collect::<Vec<_>>().join(&b","[..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;

    #[test]
    fn a_line_that_is_empty_is_none() {
        for (lines, expected) in [
            (&[][..], ""),
            (&[""], ""),
            (&["a"], "a"),
            (&["", "a"], "a"),
            (&["a", ""], "a"),
            (&["a", "b"], "a,b"),
            (&["", "a", "", "b"], "a,b"),
        ] {
            let headers: HeaderMap =
                lines.iter().map(|line| (HOST, HeaderValue::from_static(line))).collect();
            assert_eq!(joined(&headers, &HOST), expected.as_bytes(), "{lines:?}");
        }
    }
}
