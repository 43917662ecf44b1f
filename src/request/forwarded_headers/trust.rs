//! Who is trusted.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::IpNetwork;

/// Whose word counts.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) proxies: Vec<IpAddr>,
    pub(super) networks: Vec<IpNetwork>,
}

impl Default for Trust {
    fn default() -> Self {
        let loopback = IpNetwork::LOOPBACK;
        Self { proxies: vec![Ipv6Addr::LOCALHOST.into()], networks: vec![loopback] }
    }
}

impl Trust {
    /// Without any address anyone is trusted. An IPv4 address in the clothes of IPv6 is looked up as both.
    pub(super) fn covers(&self, address: SocketAddr) -> bool {
        if self.proxies.is_empty() && self.networks.is_empty() {
            return true;
        }
        let mapped = match address.ip() {
            IpAddr::V6(ip) => ip.to_ipv4_mapped().map(IpAddr::V4),
            IpAddr::V4(_) => None,
        };
        // An address with a zone is another one than the same without.
        let plain = !matches!(address, SocketAddr::V6(address) if address.scope_id() != 0);
        mapped.into_iter().chain([address.ip()]).any(|ip| {
            plain && self.proxies.contains(&ip) || self.networks.iter().any(|network| network.contains(ip))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusts_loopback_unless_told_otherwise() {
        let trust = Trust::default();
        for address in ["127.1.2.3:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(trust.covers(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1:1", "[::]:1", "[::2]:1"] {
            assert!(!trust.covers(address.parse().unwrap()), "{address}");
        }
        assert!(Trust { proxies: Vec::new(), networks: Vec::new() }.covers(([1, 2, 3, 4], 5).into()));
    }
}
