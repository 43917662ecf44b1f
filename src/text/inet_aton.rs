//! IPv4 addresses as people and old programs write them.

use std::net::Ipv4Addr;

/// An IPv4 address as `inet_aton(3)` reads it: one to four numbers, decimal, octal (`0177`) or
/// hexadecimal (`0x7f`), of which the last one fills what is left.
pub(crate) fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').peekable();
    let (mut address, mut bits) = (0_u64, 32_u32);
    while let Some(part) = parts.next() {
        let number = match part.as_bytes() {
            [b'0', b'x' | b'X', digits @ ..] => number(digits, 16),
            [b'0', digits @ ..] if !digits.is_empty() => number(digits, 8),
            digits => number(digits, 10),
        }?;
        let width = if parts.peek().is_some() { 8 } else { bits };
        if bits == 0 || number >> width != 0 {
            return None;
        }
        address = address << width | number;
        bits -= width;
    }
    u32::try_from(address).ok().filter(|_| bits == 0).map(Ipv4Addr::from)
}

/// Digits and nothing else: no sign, no space.
fn number(digits: &[u8], base: u32) -> Option<u64> {
    let first = digits.first()?.is_ascii_hexdigit();
    let text = std::str::from_utf8(digits).ok().filter(|_| first)?;
    u64::from_str_radix(text, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_old_spellings() {
        for (text, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203", "0.0.0.203"),
            ("10.1.7", "10.1.0.7"),
            ("3405803783", "203.0.113.7"),
            ("0xcb.0.0161.0X7", "203.0.113.7"),
        ] {
            assert_eq!(inet_aton(text), address.parse().ok(), "{text}");
        }
        for text in
            ["", ".", "1.", "256.1.1.1", "1.2.3.4.5", "1.2.65536", "08", "0x", "+1", "-1", "1 ", "4294967296"]
        {
            assert_eq!(inet_aton(text), None, "{text:?}");
        }
    }
}
