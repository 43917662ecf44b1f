//! The values of the headers: lists with commas, and the elements of `Forwarded`.

use http::header::GetAll;
use http::{HeaderName, HeaderValue};

/// A value, out of its quotes.
pub(super) type Value = Vec<u8>;

/// The values of all lines, empty ones left out.
pub(super) fn list(lines: GetAll<'_, HeaderValue>) -> Vec<Value> {
    pieces(lines).map(dequoted).filter(|value| !value.is_empty()).map(<[u8]>::to_vec).collect()
}

/// What stands between the commas that are not quoted, trimmed.
fn pieces(lines: GetAll<'_, HeaderValue>) -> impl Iterator<Item = &[u8]> {
    lines.into_iter().flat_map(|line| split(line.as_bytes(), b','))
}

fn split(text: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    text.split(move |&octet| {
        quoted ^= octet == b'"';
        octet == delimiter && !quoted
    })
    .map(<[u8]>::trim_ascii)
}

fn dequoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    }
}

/// An element of `Forwarded` (RFC 7239, 4): what one proxy says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// As it stands in the header.
    pub(super) text: Value,
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
        let mut element = Self { text: text.to_vec(), ..Self::default() };
        for pair in split(text, b';').filter(|pair| !pair.is_empty()) {
            let mut parts = pair.splitn(2, |&octet| octet == b'=');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
                return Self { text: element.text, ..Self::default() };
            };
            let place = match name.to_ascii_lowercase().as_slice() {
                b"for" => &mut element.client,
                b"proto" => &mut element.proto,
                b"host" => &mut element.host,
                _ => continue, // `by`, and extensions
            };
            *place = Some(unescaped(value));
        }
        element
    }
}

/// A token, or a quoted string without its quotes and backslashes.
fn unescaped(value: &[u8]) -> Value {
    let inside = dequoted(value);
    if inside.len() == value.len() {
        return value.to_vec();
    }
    let mut octets = inside.iter();
    let mut text = Vec::with_capacity(inside.len());
    while let Some(&octet) = octets.next() {
        text.push(if octet == b'\\' { octets.next().copied().unwrap_or(octet) } else { octet });
    }
    text
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
