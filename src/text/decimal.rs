//! Numbers of digits and nothing else: `str::parse` would take a sign too.

/// 1*DIGIT; `None` if it is more than the type holds.
pub(crate) fn decimal<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, octet| {
        let digit = octet.is_ascii_digit().then(|| u64::from(octet - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })?;
    T::try_from(number).ok()
}

/// A Content-Length (RFC 9110, 8.6), up to `i64::MAX`, as Kestrel holds it.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    decimal::<i64>(value).map(i64::unsigned_abs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_digits_up_to_what_the_type_holds() {
        assert_eq!(decimal::<u16>(b"0080"), Some(80));
        assert_eq!(decimal::<u16>(b"65535"), Some(65_535));
        assert_eq!(content_length(b"9223372036854775807"), Some(i64::MAX.unsigned_abs()));
        for text in ["", "+5", "-0", "5,5", "5 5", " 5", "0x5", "\u{665}", "99999999999999999999"] {
            assert_eq!(decimal::<u64>(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(decimal::<u16>(b"65536"), None);
        assert_eq!(content_length(b"9223372036854775808"), None);
    }
}
