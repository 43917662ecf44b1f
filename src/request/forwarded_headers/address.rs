//! An address with or without port, as .NET's `IPEndPoint.TryParse` takes it.

use std::net::{SocketAddr, SocketAddrV6};

use memchr::{memchr, memrchr};

use crate::text::ip::parse_ipv6;
use crate::text::{decimal, inet_aton};

/// `203.0.113.7`, `203.0.113.7:80`, `2001:db8::1`, `[2001:db8::1]:80`; port 0 if there is none.
pub(super) fn parse(text: &[u8]) -> Option<SocketAddr> {
    let port = memrchr(b':', text)
        .filter(|&colon| colon > 0 && (text[colon - 1] == b']' || memchr(b':', &text[..colon]).is_none()));
    let (address, port) = match port {
        Some(colon) => (&text[..colon], decimal(&text[colon + 1..])?),
        None => (text, 0),
    };
    let address = std::str::from_utf8(address).ok()?;
    if !address.contains(':') {
        return Some((inet_aton(address)?, port).into());
    }
    let (address, zone) = parse_ipv6(address)?;
    // A zone's name is one of another machine, if it is one at all.
    Some(SocketAddrV6::new(address, port, 0, decimal(zone.as_bytes()).unwrap_or(0)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_dotnet_takes() {
        for (text, address) in [
            ("203.0.113.7", "203.0.113.7:0"),
            ("203.0.113.7:0080", "203.0.113.7:80"),
            ("203", "0.0.0.203:0"),
            ("10.1.7", "10.1.0.7:0"),
            ("3405803783", "203.0.113.7:0"),
            ("0xcb.0.0161.07", "203.0.113.7:0"),
            ("2001:DB8::A", "[2001:db8::a]:0"),
            ("2001:db8::1:8080", "[2001:db8::1:8080]:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[fe80::1%3]:80", "[fe80::1%3]:80"),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(address.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            ":",
            ":80",
            "unknown",
            "_hidden",
            "203.0.113.7:",
            "203.0.113.7:+8",
            "203.0.113.7:65536",
            "203.0.113.256",
            "1.2.3.4.5",
            "1.2.3.4.",
            "-1.2.3.4",
            "+1.2.3.4",
            "0x.1",
            "08",
            "[203.0.113.7]:80",
            "[]",
            "[[::1]]",
            "[::1",
            "::1]",
            "[::1]:",
            "2001:db8::/32",
            "1:2:3:4:5:6:7:8:9",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
