//! A header that has several lines, as one.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The lines of a header with commas between (RFC 9110, 5.3); empty if there is none.
pub(crate) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Cow<'a, [u8]> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Cow::Borrowed(b""),
        (Some(line), None) => Cow::Borrowed(line.as_bytes()),
        _ => {
            let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            Cow::Owned(lines.join(&b","[..]))
        }
    }
}
