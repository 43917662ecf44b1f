//! The values of the headers: lists with commas, and the elements of `Forwarded`.

use std::borrow::Cow;

use http::header::GetAll;
use http::{HeaderName, HeaderValue};

use crate::text::list::{parameter, split, unquoted};

/// A value, out of its quotes.
pub(super) type Value = Vec<u8>;

/// The values of all lines, empty ones left out.
pub(super) fn list(lines: GetAll<'_, HeaderValue>) -> Vec<Value> {
    pieces(lines).map(unquoted).filter(|value| !value.is_empty()).map(Cow::into_owned).collect()
}

/// What stands between the commas that are not quoted, trimmed.
fn pieces(lines: GetAll<'_, HeaderValue>) -> impl Iterator<Item = &[u8]> {
    lines.into_iter().flat_map(|line| split(line.as_bytes(), b','))
}

/// An element of `Forwarded` (RFC 7239, 4): what one proxy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// As it stands in the header.
    pub(super) text: Value,
    pub(super) is_readable: bool,
    pub(super) client: Option<Value>,
    pub(super) proto: Option<Value>,
    pub(super) host: Option<Value>,
}

/// The elements of all lines. One that cannot be read says nothing.
pub(super) fn elements(lines: GetAll<'_, HeaderValue>) -> Vec<Element> {
    pieces(lines).filter(|text| !text.is_empty()).map(Element::read).collect()
}

impl Element {
    fn read(text: &[u8]) -> Self {
        let said = Self { text: text.to_vec(), ..Self::default() };
        said.clone().filled(text).unwrap_or(said)
    }

    /// `None` if one of the parameters is none, or is there twice.
    fn filled(mut self, text: &[u8]) -> Option<Self> {
        for text in split(text, b';').filter(|text| !text.is_empty()) {
            let (name, value) = parameter(text)?;
            let place = match name.to_ascii_lowercase().as_slice() {
                b"for" => &mut self.client,
                b"proto" => &mut self.proto,
                b"host" => &mut self.host,
                _ => continue, // `by`, and extensions
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        self.is_readable = true;
        Some(self)
    }
}

/// A header that is put back: its name, and what is left of its values, one line each.
pub(super) fn put_back(headers: &mut http::HeaderMap, name: &HeaderName, values: &[impl AsRef<[u8]>]) {
    headers.remove(name);
    for value in values {
        // A piece of a header's value is one too.
        if let Ok(value) = HeaderValue::from_bytes(value.as_ref()) {
            headers.append(name.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn lines(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (http::header::FORWARDED, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn splits_at_commas_outside_of_quotes() {
        let headers = lines(&["a ,\tb,, \"c\"", "", "\"d, e\", \"\""]);
        assert_eq!(list(headers.get_all("forwarded")), [&b"a"[..], b"b", b"c", b"d, e"]);
    }

    #[test]
    fn reads_the_elements_of_forwarded() {
        let headers = lines(&[
            "For=\"[2001:db8::1]:80\";proto=https;by=_x, for=192.0.2.1",
            "host=\"a\\\"b\"",
            "nonsense",
        ]);
        let elements = elements(headers.get_all("forwarded"));
        assert_eq!(elements.len(), 4);
        assert_eq!(elements[0].client.as_deref(), Some(&b"[2001:db8::1]:80"[..]));
        assert_eq!(elements[0].proto.as_deref(), Some(&b"https"[..]));
        assert_eq!(elements[1].text, b"for=192.0.2.1");
        assert_eq!(elements[2].host.as_deref(), Some(&b"a\"b"[..]));
        assert_eq!(elements[3], Element { text: b"nonsense".to_vec(), ..Element::default() });
    }
}
