//! Whose word on a client counts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::text::IpNetwork;
use crate::transport::Peer;

/// Whom to believe what they say of others. A peer that cannot be checked is not believed; one on a Unix socket is
/// checked by the system, which asks whether it may open the file.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    Anyone,
    Some { proxies: Arc<[IpAddr]>, networks: Arc<[IpNetwork]> },
}

impl Trust {
    pub(crate) fn in_networks(networks: Vec<IpNetwork>) -> Self {
        Self::Some { proxies: Arc::default(), networks: networks.into() }
    }

    /// An error if nobody is believed, which nobody wants.
    pub(crate) fn check(&self, of: &str) -> Result<(), Error> {
        match self {
            Self::Some { proxies, networks } if proxies.is_empty() && networks.is_empty() => {
                let message = format!(
                    "{of}: no proxy and no network is trusted, so that nobody is believed; name one, or say \
                     trusting_anyone() if whoever connects is to be believed"
                );
                Err(Error::new(ErrorKind::Option, message))
            }
            _ => Ok(()),
        }
    }

    /// An IPv4 address in the clothes of IPv6 is looked up as both.
    pub(crate) fn covers(&self, peer: Peer) -> bool {
        let (proxies, networks, address) = match (self, peer) {
            (Self::Anyone, _) | (_, Peer::Unix) => return true,
            (_, Peer::Unknown) => return false,
            (Self::Some { proxies, networks }, Peer::Ip(address)) => (proxies, networks, address),
        };
        // An address with a zone is another one than the same without.
        let is_plain = !matches!(address, SocketAddr::V6(address) if address.scope_id() != 0);
        [address.ip(), address.ip().to_canonical()].into_iter().any(|ip| {
            is_plain && proxies.contains(&ip) || networks.iter().any(|network| network.contains(ip))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_checked_is_not_trusted() {
        let trust = Trust::in_networks(vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()]);
        let ip = |address: &str| Peer::Ip(address.parse().unwrap());
        for peer in [ip("10.1.2.3:1"), ip("[::ffff:10.1.2.3]:1"), ip("[::1]:1"), Peer::Unix] {
            assert!(trust.covers(peer), "{peer}");
        }
        for peer in [ip("11.1.2.3:1"), ip("[::ffff:11.1.2.3]:1"), ip("[::a01:203]:1"), Peer::Unknown] {
            assert!(!trust.covers(peer), "{peer}");
            assert!(Trust::Anyone.covers(peer), "{peer}");
        }
        let proxies =
            Trust::Some { proxies: Arc::new(["fe80::1".parse().unwrap()]), networks: Arc::default() };
        assert!(proxies.covers(ip("[fe80::1]:1")) && !proxies.covers(ip("[fe80::1%3]:1")));
    }

    #[test]
    fn nobody_is_an_error() {
        let nobody = Trust::in_networks(Vec::new());
        assert!(!nobody.covers(Peer::Ip(([127, 0, 0, 1], 1).into())));
        let error = nobody.check("X").unwrap_err();
        assert!(error.is_option() && error.to_string().contains("trusting_anyone"), "{error}");
        assert!(Trust::Anyone.check("X").is_ok());
    }
}
