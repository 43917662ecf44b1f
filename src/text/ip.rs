//! IPv6 addresses as .NET reads and writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address, in brackets or bare, and the text of its zone, which is empty if there is none.
pub(crate) fn parse_ipv6(text: &str) -> Option<(Ipv6Addr, &str)> {
    let inside = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let (address, zone) = inside.split_once('%').unwrap_or((inside, ""));
    let address = address.parse().ok().or_else(|| parse_padded(address))?;
    Some((address, zone))
}

/// The last number of an IPv4 address inside may have a zero before it, for .NET: `::1.2.3.04`.
fn parse_padded(address: &str) -> Option<Ipv6Addr> {
    let (before, last) = address.rsplit_once('.')?;
    let last = last.strip_prefix('0').filter(|last| !last.starts_with('0'))?;
    format!("{before}.{last}").parse().ok()
}

/// An IPv4 address that came as IPv6, as over a socket for both, is IPv4.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    }
}

/// Writes an address and its port.
pub(crate) struct AddressText(pub(crate) SocketAddr);

impl fmt::Display for AddressText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V4(address) => write!(f, "{address}"),
            SocketAddr::V6(address) => match address.scope_id() {
                0 => write!(f, "[{}]:{}", Ipv6Text(*address.ip()), address.port()),
                scope => write!(f, "[{}%{scope}]:{}", Ipv6Text(*address.ip()), address.port()),
            },
        }
    }
}

/// As RFC 5952, with the last 32 bits as IPv4 where .NET writes them so.
pub(crate) struct Ipv6Text(pub(crate) Ipv6Addr);

impl fmt::Display for Ipv6Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.0.segments();
        let embeds_ipv4 = match groups {
            [0, 0, 0, 0, 0, 0 | 0xffff, high, _] | [0, 0, 0, 0, 0xffff, 0, high, _] => high != 0,
            [_, _, _, _, 0, 0x5efe, _, _] => true,
            _ => false,
        };
        let shown = if embeds_ipv4 { &groups[..6] } else { &groups[..] };
        let zeros = longest_zeros(shown);
        for (i, group) in shown.iter().enumerate() {
            if zeros.contains(&i) {
                if i == zeros.start {
                    f.write_str("::")?;
                }
            } else {
                let separator = if i == 0 || i == zeros.end && !zeros.is_empty() { "" } else { ":" };
                write!(f, "{separator}{group:x}")?;
            }
        }
        if embeds_ipv4 {
            let separator = if zeros.end == 6 { "" } else { ":" };
            let [.., high, low] = groups;
            write!(f, "{separator}{}", Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))?;
        }
        Ok(())
    }
}

/// The longest run of two zeros or more, the first of several.
fn longest_zeros(groups: &[u16]) -> std::ops::Range<usize> {
    let mut longest = 0..0;
    let mut start = 0;
    for (i, group) in groups.iter().enumerate() {
        if *group != 0 {
            start = i + 1;
        } else if i + 1 - start > longest.len().max(1) {
            longest = start..i + 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_as_dotnet_does() {
        for (text, written) in [
            ("[2001:DB8:0:0::1]", "2001:db8::1"),
            ("::", "::"),
            ("::1", "::1"),
            ("::ffff:cb00:7107", "::ffff:203.0.113.7"),
            ("::203.0.113.7", "::203.0.113.7"),
            ("::0.1.2.3", "::0.1.2.3"),
            ("::ffff:0:203.0.113.7", "::ffff:0:203.0.113.7"),
            ("64:ff9b::203.0.113.7", "64:ff9b::cb00:7107"),
            ("fe80::5efe:203.0.113.7", "fe80::5efe:203.0.113.7"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("::1.2.3.04", "::1.2.3.4"),
            ("1:2:3:4:5:6:1.2.3.0", "1:2:3:4:5:6:102:300"),
        ] {
            let (address, zone) = parse_ipv6(text).unwrap();
            assert_eq!((Ipv6Text(address).to_string().as_str(), zone), (written, ""), "{text}");
        }
        assert_eq!(parse_ipv6("[fe80::1%eth0]").unwrap().1, "eth0");
        for text in [
            "::01.2.3.4",
            "::1.2.3.004",
            "::1.2.3.0x4",
            "1.2.3.04",
            "",
            "[::1",
            "::1]",
            "[[::1]]",
            "1.2.3.4",
            "[]",
        ] {
            assert_eq!(parse_ipv6(text), None, "{text}");
        }
        let text = |address: &str| AddressText(address.parse().unwrap()).to_string();
        assert_eq!(text("[::1.2.3.4]:80"), "[::1.2.3.4]:80");
        assert_eq!(text("[fe80::1%3]:80"), "[fe80::1%3]:80");
        assert_eq!(text("1.2.3.4:80"), "1.2.3.4:80");
    }
}
