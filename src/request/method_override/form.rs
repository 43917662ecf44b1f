//! The value of a field of a form, with the bounds of ASP.NET Core's forms.

use std::borrow::Cow;

use memchr::memmem;

use crate::text::list::{parameter, split};
use crate::text::percent::decode_form;

/// How a form is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    UrlEncoded,
    Multipart {
        /// With the two hyphens before it; `None` if the type names no boundary, or one that is too long.
        delimiter: Option<Vec<u8>>,
    },
}

/// More fields than any form has.
const MAX_FIELDS: usize = 1024;
/// Octets of the name of a field.
const MAX_NAME: usize = 2048;
/// Octets of a boundary.
const MAX_BOUNDARY: usize = 128;

impl Kind {
    /// `None`: it is no form.
    pub(super) fn of(content_type: &[u8]) -> Option<Self> {
        let mut parts = split(content_type, b';');
        let media_type = parts.next()?;
        if media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
            return Some(Self::UrlEncoded);
        }
        if !media_type.eq_ignore_ascii_case(b"multipart/form-data") {
            return None;
        }
        let boundary = value_of(parts, b"boundary").filter(|text| (1..=MAX_BOUNDARY).contains(&text.len()));
        Some(Self::Multipart { delimiter: boundary.map(|boundary| [b"--", &*boundary].concat()) })
    }

    /// The values of the fields of that name that are not empty, with commas between; `None` if the form cannot be
    /// read.
    pub(super) fn value(&self, form: &[u8], name: &str) -> Option<Vec<u8>> {
        let fields = match self {
            Self::UrlEncoded => url_encoded(form)?,
            Self::Multipart { delimiter } => multipart(form, delimiter.as_ref()?)?,
        };
        let values = fields.into_iter().filter(|(field, value)| is_same(field, name) && !value.is_empty());
        Some(values.map(|(_, value)| value).collect::<Vec<_>>().join(&b","[..]))
    }
}

/// A name and a value.
type FormField = (Vec<u8>, Vec<u8>);

fn url_encoded(form: &[u8]) -> Option<Vec<FormField>> {
    let mut fields = Vec::new();
    for pair in form.split(|&octet| octet == b'&').filter(|pair| !pair.is_empty()) {
        let mut parts = pair.splitn(2, |&octet| octet == b'=');
        let name = decode_form(parts.next().unwrap_or_default());
        let value = decode_form(parts.next().unwrap_or_default());
        if name.len() > MAX_NAME || fields.len() == MAX_FIELDS {
            return None;
        }
        fields.push((name, value));
    }
    Some(fields)
}

/// The fields of RFC 7578 that are no files.
fn multipart(form: &[u8], delimiter: &[u8]) -> Option<Vec<FormField>> {
    let mut fields = Vec::new();
    if form.is_empty() {
        return Some(fields);
    }
    // What stands before the first delimiter does not count.
    let start = if form.starts_with(delimiter) { 0 } else { find_line(form, delimiter)? + 2 };
    let mut rest = &form[start + delimiter.len()..];
    loop {
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        // Blanks may stand behind a delimiter.
        let line = memmem::find(rest, b"\r\n")?;
        if !rest[..line].trim_ascii().is_empty() || fields.len() == MAX_FIELDS {
            return None;
        }
        let part = &rest[line..];
        let end = find_line(part, delimiter)?;
        // Of a part without headers the empty line is the first.
        let head = memmem::find(&part[..end], b"\r\n\r\n")?;
        if let Some(name) = field_name(&part[..head]) {
            if name.len() > MAX_NAME {
                return None;
            }
            fields.push((name, part[head + 4..end].to_vec()));
        }
        rest = &part[end + 2 + delimiter.len()..];
    }
}

/// Where the line end before a delimiter is.
fn find_line(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    memmem::find(text, &[b"\r\n", delimiter].concat())
}

/// The name that the head of a part gives to a field; `None` for a file.
fn field_name(head: &[u8]) -> Option<Vec<u8>> {
    for line in head.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii) {
        let mut parts = line.splitn(2, |&octet| octet == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if !name.eq_ignore_ascii_case(b"content-disposition") {
            continue;
        }
        let mut parts = split(value, b';');
        if !parts.next()?.eq_ignore_ascii_case(b"form-data") {
            return None;
        }
        let is_file = |name| value_of(split(value, b';'), name).is_some();
        if is_file(b"filename") || is_file(b"filename*") {
            return None;
        }
        return value_of(parts, b"name").map(Cow::into_owned);
    }
    None
}

fn value_of<'a>(mut parts: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    parts
        .find_map(|part| parameter(part).filter(|(found, _)| found.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

/// Names of fields do not know case.
fn is_same(field: &[u8], name: &str) -> bool {
    field.eq_ignore_ascii_case(name.as_bytes())
        || std::str::from_utf8(field)
            .is_ok_and(|field| !field.is_ascii() && field.to_lowercase() == name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(content_type: &'static str) -> Option<Kind> {
        Kind::of(content_type.as_bytes())
    }

    fn value(kind: &Kind, form: &str) -> Option<String> {
        kind.value(form.as_bytes(), "_method").map(|value| String::from_utf8(value).unwrap())
    }

    #[test]
    fn knows_forms_by_their_type() {
        assert_eq!(kind("Application/X-www-form-urlencoded ; charset=utf-8"), Some(Kind::UrlEncoded));
        let multipart = Some(Kind::Multipart { delimiter: Some(b"--a;b".to_vec()) });
        assert_eq!(kind("multipart/form-data; Boundary=\"a;b\""), multipart);
        for none in ["", "text/plain", "multipart/mixed; boundary=b", "nonsense"] {
            assert_eq!(kind(none), None, "{none}");
        }
    }

    #[test]
    fn a_multipart_form_without_a_boundary_cannot_be_read() {
        let long = format!("multipart/form-data; boundary={}", "b".repeat(129));
        for content_type in [
            "multipart/form-data",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; charset=utf-8",
            &long,
        ] {
            let form = Kind::of(content_type.as_bytes()).unwrap();
            for text in ["", "_method=DELETE", "--\r\n\r\n\r\n----"] {
                assert_eq!(value(&form, text), None, "{content_type}");
            }
        }
    }

    #[test]
    fn reads_fields() {
        let form = Kind::UrlEncoded;
        for (text, expected) in [
            ("", ""),
            ("_method", ""),
            ("a=1&&_METHOD=DELETE", "DELETE"),
            ("%5fmethod=%zz+%4", "%zz %4"),
            ("_method=&_method=A&_method=B", "A,B"),
        ] {
            assert_eq!(value(&form, text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(value(&form, &"a=1&".repeat(1025)), None);
        assert_eq!(value(&form, &"a".repeat(2049)), None);
    }

    #[test]
    fn reads_parts() {
        let form = kind("multipart/form-data; boundary=b").unwrap();
        let part = |disposition: &str| {
            format!("before\r\n--b \r\nX: y\r\nContent-Disposition: {disposition}\r\n\r\nA\r\nB\r\n--b--\r\n")
        };
        assert_eq!(value(&form, &part("form-data; name=\"_method\"")).as_deref(), Some("A\r\nB"));
        assert_eq!(value(&form, &part("form-data; name=_method; filename=x")).as_deref(), Some(""));
        let quoted = part("form-data; x=\"a\\\"; name=other;\"; name=\"_method\"");
        assert_eq!(value(&form, &quoted).as_deref(), Some("A\r\nB"));
        assert_eq!(value(&form, &part("form-data; name=other")).as_deref(), Some(""));
        assert_eq!(value(&form, "").as_deref(), Some(""));
        for cut in
            ["--b", "--b\r\nContent-Dis", "--b\r\nContent-Disposition: form-data; name=_method\r\n\r\nA"]
        {
            assert_eq!(value(&form, cut), None, "{cut}");
        }
    }
}
