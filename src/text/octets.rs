//! What each octet may be: one table for names, methods and targets.

/// A `tchar` (RFC 9110, 5.6.2): methods, field names, chunk extensions.
pub(crate) const TOKEN: u8 = 1;
/// Cannot stand raw in a path: what `http::Uri` refuses there, `#` and everything above 0x7F.
pub(crate) const NOT_PATH: u8 = 2;
/// The same for a query.
pub(crate) const NOT_QUERY: u8 = 4;
/// Not in any path or query of RFC 3986, `%` apart.
pub(crate) const NOT_RFC3986: u8 = 8;
/// In an authority-form target Kestrel takes letters, digits and `:.-[]@`.
pub(crate) const AUTHORITY: u8 = 16;
/// Kestrel's Host grammar takes letters, digits and `!$&'()-._~`.
pub(crate) const HOST: u8 = 32;
/// May stand raw in a path segment without a second meaning (`pchar` without `%`, RFC 3986, 3.3).
pub(crate) const PCHAR: u8 = 64;

pub(crate) static CLASS: [u8; 256] = classes();

#[inline]
pub(crate) fn is(octet: u8, class: u8) -> bool {
    CLASS[usize::from(octet)] & class != 0
}

const fn classes() -> [u8; 256] {
    let mut table = [NOT_PATH | NOT_QUERY | NOT_RFC3986; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | AUTHORITY | HOST | PCHAR;
        }
        if has(b"!#$%&'*+-.^_`|~", byte) {
            class |= TOKEN;
        }
        if has(b":.-[]@", byte) {
            class |= AUTHORITY;
        }
        if has(b"!$&'()-._~", byte) {
            class |= HOST;
        }
        if has(b"-._~!$&'()*+,;=:@", byte) {
            class |= PCHAR;
        }
        if class & PCHAR == 0 && !has(b"/?%", byte) {
            class |= NOT_RFC3986;
        }
        if has(b"#<>`", byte) {
            class |= NOT_PATH;
        }
        if has(b"#<>\"", byte) {
            class |= NOT_QUERY;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

const fn has(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_in_paths_and_queries_what_the_http_crate_takes() {
        for octet in 0..=0x7F_u8 {
            let path = [b'/', octet];
            let query = [b'/', b'?', octet];
            let taken = |target: &[u8]| http::Uri::try_from(target).is_ok();
            if octet != b'#' {
                assert_eq!(taken(&path), !is(octet, NOT_PATH), "path {octet:#x}");
                assert_eq!(taken(&query), !is(octet, NOT_QUERY), "query {octet:#x}");
            }
            let name = [octet];
            assert_eq!(http::HeaderName::from_bytes(&name).is_ok(), is(octet, TOKEN), "name {octet:#x}");
            assert_eq!(http::Method::from_bytes(&name).is_ok(), is(octet, TOKEN), "method {octet:#x}");
        }
    }

    #[test]
    fn takes_what_browsers_send_raw() {
        assert!(b"\\^`{}|[]".iter().all(|&octet| !is(octet, NOT_QUERY)), "query");
        assert!(b"|[]".iter().all(|&octet| !is(octet, NOT_PATH)), "path");
    }
}
