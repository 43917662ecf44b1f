//! A network of IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::decimal;
use crate::error::{Error, ErrorKind};

/// A network: an address and how many of its bits all addresses of the network share.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::IpNetwork;
///
/// let network: IpNetwork = "10.0.0.0/8".parse()?;
/// assert!(network.contains([10, 255, 255, 255].into()));
/// assert!(!network.contains([11, 0, 0, 0].into()));
/// assert_eq!("::1".parse::<IpNetwork>()?, "::1/128".parse()?);
/// assert!("10.0.0.0/33".parse::<IpNetwork>().is_err());
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl IpNetwork {
    pub(crate) const LOOPBACK: Self = Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };

    /// The addresses whose first `prefix` bits are those of `address`; an error if it has not so many.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, Error> {
        if prefix > width(address) {
            let message = format!("the network {address}/{prefix} has more bits than its addresses");
            return Err(Error::new(ErrorKind::Option, message));
        }
        Ok(Self { address, prefix })
    }

    /// Whether `address` is in this network. One of IPv4 is in none of IPv6, and the other way round.
    pub fn contains(&self, address: IpAddr) -> bool {
        let differs = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => u128::from(ours.to_bits() ^ theirs.to_bits()),
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => ours.to_bits() ^ theirs.to_bits(),
            _ => return false,
        };
        // All 128 bits may be free.
        differs.checked_shr(u32::from(width(self.address) - self.prefix)).unwrap_or(0) == 0
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A network of one address.
impl From<IpAddr> for IpNetwork {
    fn from(address: IpAddr) -> Self {
        Self { address, prefix: width(address) }
    }
}

/// `10.0.0.0/8`, or an address, which is a network of one.
impl FromStr for IpNetwork {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let parts = address.parse().ok().and_then(|address| {
            let prefix = prefix.map_or(Some(width(address)), |bits| decimal(bits.as_bytes()))?;
            Some((address, prefix))
        });
        let Some((address, prefix)) = parts else {
            let message = format!("{text:?} is no network; write it as \"10.0.0.0/8\" or \"2001:db8::/32\"");
            return Err(Error::new(ErrorKind::Option, message));
        };
        Self::new(address, prefix)
    }
}

/// As it is [parsed](Self::from_str).
impl TryFrom<&str> for IpNetwork {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Debug for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_what_shares_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/7", "11.255.255.255", "12.0.0.0"),
            ("10.9.9.9/8", "10.1.1.1", "9.1.1.1"),
            ("192.168.1.4/31", "192.168.1.5", "192.168.1.6"),
            ("192.168.1.4/32", "192.168.1.4", "192.168.1.5"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "2001:db8::1", "1.2.3.4"),
            ("2001:db8::8/127", "2001:db8::9", "2001:db8::a"),
            ("::1/128", "::1", "::2"),
        ] {
            let network: IpNetwork = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        assert_eq!("192.0.2.1".parse::<IpNetwork>().unwrap().to_string(), "192.0.2.1/32");
        for text in ["", "/8", "10.0.0/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "a/8"] {
            assert!(text.parse::<IpNetwork>().unwrap_err().is_option(), "{text}");
        }
    }
}
