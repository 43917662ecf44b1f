//! What a PROXY header says, versions 1 and 2.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n   and then what the client sends
//! ```
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Buf;

use crate::text::ip::canonical;
use crate::text::{decimal, host_name};

/// What a trusted proxy said of the connection that it passes on; from
/// [`ConnectionInfo::proxy_header`](super::ConnectionInfo::proxy_header).
///
/// Version 1 has the addresses only. Version 2 may say more: that the client came by TLS, which makes the scheme of its
/// requests `https`, the host that it asked for, and the protocol that was agreed on.
///
/// # Differences from Kestrel
///
/// Kestrel does not speak the protocol.
///
/// # Example
///
/// ```
/// use kestrel_rs::ConnectionInfo;
///
/// async fn asked_for(connection: ConnectionInfo) -> String {
///     let authority = connection.proxy_header().and_then(|header| header.authority());
///     authority.unwrap_or("no name").to_owned()
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(asked_for));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Client and server.
    addresses: Option<(SocketAddr, SocketAddr)>,
    is_tls: bool,
    authority: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
}

impl ProxyHeader {
    /// The address of the client; `None` if the proxy did not say it. IPv4 that was written as IPv6
    /// (`::ffff:192.0.2.1`) is IPv4.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.addresses.map(|addresses| addresses.0)
    }

    /// The address that the client connected to; `None` if the proxy did not say it.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.addresses.map(|addresses| addresses.1)
    }

    /// Whether the client came to the proxy by TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host that the client asked the proxy for, as by SNI; `None` if the proxy did not say it, or what it said is
    /// no host.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The protocol that client and proxy agreed on, as by ALPN: `b"h2"`; `None` if the proxy did not say it.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    fn of(client: SocketAddr, server: SocketAddr) -> Self {
        Self { addresses: Some((canonical(client), canonical(server))), ..Self::default() }
    }

    /// Reads what stands behind the addresses of version 2: a type, a length of 16 bits, and a value, each.
    fn with_values(mut self, mut rest: &[u8]) -> io::Result<Self> {
        while !rest.is_empty() {
            let Some((&[kind, high, low], behind)) = rest.split_first_chunk() else {
                return malformed("a value has no length");
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some((value, behind)) = behind.split_at_checked(length) else {
                return malformed("a value is longer than the header");
            };
            rest = behind;
            match kind {
                ALPN => self.alpn = Some(value.into()),
                AUTHORITY => {
                    let text = std::str::from_utf8(value).ok();
                    self.authority =
                        text.filter(|_| host_name::of_any_script(value).is_some()).map(Box::from);
                }
                // Flags, and four octets on the client's certificate; what follows is not needed.
                SSL => match value {
                    [flags, _, _, _, _, ..] => self.is_tls = flags & CLIENT_CAME_BY_TLS != 0,
                    _ => return malformed("what it says of TLS is too short"),
                },
                _ => {}
            }
        }
        Ok(self)
    }
}

/// Types of values.
const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const SSL: u8 = 0x20;
/// `PP2_CLIENT_SSL`.
const CLIENT_CAME_BY_TLS: u8 = 1;

/// Reads a header, and says how long it is; `None` if it is not whole.
pub(super) fn parse(read: &[u8]) -> io::Result<Option<(ProxyHeader, usize)>> {
    let start = |signature: &[u8]| {
        let seen = read.len().min(signature.len());
        read[..seen] == signature[..seen]
    };
    match () {
        () if start(V2) => parse_v2(read),
        () if start(V1) => parse_v1(read),
        () => malformed("there is none"),
    }
}

fn parse_v1(read: &[u8]) -> io::Result<Option<(ProxyHeader, usize)>> {
    let Some(end) = read.iter().take(MAX_V1).position(|octet| *octet == b'\n') else {
        return if read.len() < MAX_V1 { Ok(None) } else { malformed("the line is too long") };
    };
    let line = read[V1.len()..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let Some(line) = line else { return malformed("the line is no text") };
    let words: Vec<_> = line.split(' ').collect();
    let header = match words[..] {
        ["UNKNOWN", ..] => ProxyHeader::default(),
        ["TCP4", client, server, client_port, server_port] => {
            let ip = |text: &str| text.parse::<Ipv4Addr>().ok().map(IpAddr::from);
            ProxyHeader::of(address(ip(client), client_port)?, address(ip(server), server_port)?)
        }
        ["TCP6", client, server, client_port, server_port] => {
            let ip = |text: &str| text.parse::<Ipv6Addr>().ok().map(IpAddr::from);
            ProxyHeader::of(address(ip(client), client_port)?, address(ip(server), server_port)?)
        }
        _ => return malformed("no TCP4, TCP6 or UNKNOWN"),
    };
    Ok(Some((header, end + 1)))
}

fn address(ip: Option<IpAddr>, port: &str) -> io::Result<SocketAddr> {
    let is_plain = port == "0" || !port.starts_with('0');
    match (ip, decimal(port.as_bytes())) {
        (Some(ip), Some(port)) if is_plain => Ok(SocketAddr::new(ip, port)),
        _ => malformed("no address and port"),
    }
}

fn parse_v2(read: &[u8]) -> io::Result<Option<(ProxyHeader, usize)>> {
    let Some(&[command, family, high, low]) = read.get(V2.len()..V2.len() + 4) else { return Ok(None) };
    let start = V2.len() + 4;
    let end = start + usize::from(u16::from_be_bytes([high, low]));
    let addresses = match (command, family) {
        (0x21, 0x11) => 2 * 4 + 4,
        (0x21, 0x21) => 2 * 16 + 4,
        // Paths of Unix sockets.
        (0x21, 0x31) => 2 * 108,
        // The proxy speaks for itself, or does not say for whom: nothing of it counts.
        (0x20, _) | (0x21, 0x00) => 0,
        _ => return malformed("the version, command or family is unknown"),
    };
    if end - start < addresses {
        return malformed("too short for its addresses");
    }
    let Some(mut body) = read.get(start..end) else { return Ok(None) };
    if addresses == 0 {
        return Ok(Some((ProxyHeader::default(), end)));
    }
    let values = &body[addresses..];
    let header = match family {
        0x11 => {
            let mut ip = || IpAddr::from(body.get_u32().to_be_bytes());
            let (client, server) = (ip(), ip());
            ProxyHeader::of((client, body.get_u16()).into(), (server, body.get_u16()).into())
        }
        0x21 => {
            let mut ip = || IpAddr::from(body.get_u128().to_be_bytes());
            let (client, server) = (ip(), ip());
            ProxyHeader::of((client, body.get_u16()).into(), (server, body.get_u16()).into())
        }
        _ => ProxyHeader::default(),
    };
    Ok(Some((header.with_values(values)?, end)))
}

fn malformed<T>(what: &'static str) -> io::Result<T> {
    Err(io::Error::new(ErrorKind::InvalidData, what))
}

const V1: &[u8] = b"PROXY ";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, by its specification.
const MAX_V1: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, body].concat()
    }

    #[test]
    fn good_headers_are_read_to_their_end() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
        let v6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0xdc, 4, 1, 0xbb]].concat();
        let mapped =
            [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1], &[0; 15], &[2], &[0xdc, 4, 1, 0xbb]].concat();
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP6 ::1 ::2 56324 443\r\n".to_vec(), Some("[::1]:56324")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.1:56324")),
            (v2(0x21, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat()), Some("192.0.2.1:56324")),
            (v2(0x21, 0x21, &v6), Some("[::1]:56324")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::2 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (v2(0x21, 0x21, &mapped), Some("192.0.2.1:56324")),
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, b"\x20"), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            for cut in 0..header.len() {
                assert!(parse(&header[..cut]).unwrap().is_none(), "{cut} of {header:?}");
            }
            let (said, length) = parse(&[&header[..], b"GET /"].concat()).unwrap().unwrap();
            assert_eq!(length, header.len());
            assert_eq!(said.remote_addr().map(|client| client.to_string()).as_deref(), client);
        }
    }

    #[test]
    fn bad_headers_are_refused() {
        for header in [
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n".to_vec(),
            [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 12]),
            v2(0x21, 0x31, &[0; 215]),
            v2(0x21, 0x11, &[&[0; 12][..], &[4, 0]].concat()),
            v2(0x21, 0x11, &[&[0; 12][..], &[4, 0, 2, 9]].concat()),
            v2(0x21, 0x11, &[&[0; 12][..], &[0x20, 0, 1, 1]].concat()),
        ] {
            assert!(parse(&header).is_err(), "{:?}", String::from_utf8_lossy(&header));
        }
    }

    #[test]
    fn version_2_says_more_than_addresses() {
        fn value(kind: u8, value: &[u8]) -> Vec<u8> {
            let length = u16::try_from(value.len()).unwrap().to_be_bytes();
            [&[kind], &length[..], value].concat()
        }
        let said = |family, addresses: usize, values: &[Vec<u8>]| {
            let header = v2(0x21, family, &[&vec![0; addresses][..], &values.concat()].concat());
            parse(&header).unwrap().unwrap().0
        };
        let version = value(0x21, b"TLSv1.3");
        let tls = value(0x20, &[&[1, 0, 0, 0, 0][..], &version].concat());
        for (family, addresses) in [(0x11, 12), (0x21, 36), (0x31, 216)] {
            let values =
                [value(4, b""), value(2, b"shop.example"), tls.clone(), value(1, b"h2"), value(5, b"id")];
            let header = said(family, addresses, &values);
            assert!(header.is_tls());
            assert_eq!((header.authority(), header.alpn()), (Some("shop.example"), Some(&b"h2"[..])));
        }
        let header = said(0x11, 12, &[value(0x20, &[0, 0, 0, 0, 0]), value(2, b"a/b")]);
        assert!(!header.is_tls());
        assert_eq!((header.authority(), header.alpn()), (None, None));
        assert_eq!(said(0x00, 0, &[tls]), ProxyHeader::default());
    }
}
