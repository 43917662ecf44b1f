//! Percent-encoding (RFC 3986, 2.1).

use super::octets::{PCHAR, is};

/// The octet that a triplet at the start of `text` stands for.
#[inline]
pub(crate) fn triplet(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

/// A name or value of a form in a URL's spelling: `+` is a space, and what is no triplet stays as it is.
pub(crate) fn decode_form(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if let Some(octet) = triplet(rest) {
            decoded.push(octet);
            rest = &rest[3..];
        } else {
            decoded.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    decoded
}

/// The UTF-8 of a path, decoded once; what is no UTF-8 stays as it is, and so does an encoded slash: it does not
/// separate. `None` if there is an encoded NUL, or what is not encoded is no UTF-8.
pub(crate) fn decode_path(path: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, ..] = rest {
        let Some(octet) = triplet(rest).filter(|octet| *octet != b'/') else {
            text.push(*first);
            rest = &rest[1..];
            continue;
        };
        let length = match octet {
            0 => return None,
            1..0x80 => 1,
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let sequence: Vec<u8> = rest.chunks(3).take(length).map_while(triplet).collect();
        if sequence.len() == length && std::str::from_utf8(&sequence).is_ok() {
            text.extend_from_slice(&sequence);
            rest = &rest[3 * length..];
        } else {
            text.push(b'%');
            rest = &rest[1..];
        }
    }
    String::from_utf8(text).ok()
}

/// A path as it stands in a URI: what has no place there is encoded, triplets stay.
pub(crate) fn encode_path(path: &str) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(path.len());
    for (i, octet) in path.bytes().enumerate() {
        if is(octet, PCHAR) || octet == b'/' || triplet(&path.as_bytes()[i..]).is_some() {
            text.push(char::from(octet));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_triplet_is_a_percent_sign_and_two_digits() {
        assert_eq!(triplet(b"%2fx"), Some(b'/'));
        assert_eq!(triplet(b"%C3"), Some(0xC3));
        for text in ["", "%", "%2", "%+1", "%1g", "%%41", "a%41", "% 1"] {
            assert_eq!(triplet(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decodes_once() {
        assert_eq!(decode_form(b"a+b%2b%zz%2541%"), b"a b+%zz%41%");
        for (sent, decoded) in [
            ("/foo%20bar", Some("/foo bar")),
            ("/a%2Fb%2f", Some("/a%2Fb%2f")),
            ("/%C3%BC%FF%C3x", Some("/ü%FF%C3x")),
            ("/%E2%82%ACx%zz", Some("/€x%zz")),
            ("/%00", None),
        ] {
            assert_eq!(decode_path(sent.as_bytes()).as_deref(), decoded, "{sent}");
        }
        assert_eq!(decode_path(b"/\xFF"), None);
        assert_eq!(encode_path("/ü b%2F%zz?[]"), "/%C3%BC%20b%2F%25zz%3F%5B%5D");
    }
}
