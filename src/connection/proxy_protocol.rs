//! The PROXY protocol, versions 1 and 2: who the client is, as a load balancer in front says it.
//!
//! ```text
//! PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n   and then what the client sends
//! ```
//!
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tower::{Layer, Service};

use super::{BoxIo, Connection, ConnectionService};
use crate::error::Error;
use crate::telemetry::events;
use crate::text::{IpNetwork, decimal};
use crate::transport::Rewind;

/// Takes the client's address from a PROXY header, versions 1 and 2, of the peers that are trusted
/// to say it.
///
/// From then on [`ConnectionInfo::remote_addr`](super::ConnectionInfo::remote_addr) is the client's
/// address and `local_addr` the one that it connected to. A trusted peer must send the header,
/// first thing and in time: it is cut otherwise. Of any other peer nothing is read, so it can say
/// what it likes and is not believed. Peers on a Unix socket are trusted.
///
/// Put it before TLS: the header is not encrypted.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`timeout`](Self::timeout) | 5 s |
///
/// # Example
///
/// ```
/// use kestrel_rs::Endpoint;
/// use kestrel_rs::connection::ProxyProtocolLayer;
///
/// let endpoint = Endpoint::any_ip(80).layer(ProxyProtocolLayer::trusting(["10.0.0.0/8", "::1"])?);
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocolLayer {
    trusted: Arc<[IpNetwork]>,
    timeout: Option<Duration>,
}

impl ProxyProtocolLayer {
    /// Believes peers in these networks, such as `10.0.0.0/8`, or at these addresses.
    pub fn trusting(networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let trusted: Result<_, Error> =
            networks.into_iter().map(|network| network.as_ref().parse()).collect();
        Ok(Self { trusted: trusted?, timeout: Some(Duration::from_secs(5)) })
    }

    /// How long a trusted peer may take to send the header; default 5 s, `None` is for ever, which
    /// hurts when the peer passes on connections of clients that it does not wait for.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }
}

impl<S: ConnectionService> Layer<S> for ProxyProtocolLayer {
    type Service = ProxyProtocol<S>;

    fn layer(&self, inner: S) -> ProxyProtocol<S> {
        ProxyProtocol { inner, options: self.clone() }
    }
}

/// The service of [`ProxyProtocolLayer`].
///
/// # Example
///
/// See [`ProxyProtocolLayer`].
#[derive(Clone, Debug)]
pub struct ProxyProtocol<S> {
    inner: S,
    options: ProxyProtocolLayer,
}

impl<S> Service<Connection> for ProxyProtocol<S>
where
    S: Service<Connection, Response = (), Future: Send> + Clone + Send + 'static,
{
    type Response = ();
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> Self::Future {
        let peer = connection.info().peer_addr().map(|peer| peer.ip().to_canonical());
        if peer.is_some_and(|peer| !self.options.trusted.iter().any(|network| network.contains(peer))) {
            return Box::pin(self.inner.call(connection));
        }
        // The service that is ready is used, a fresh clone stays.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let timeout = self.options.timeout;
        Box::pin(async move {
            match take_header(connection, timeout).await {
                Some(connection) => inner.call(connection).await,
                None => Ok(()),
            }
        })
    }
}

/// `None` if there is no good header in time.
async fn take_header(connection: Connection, timeout: Option<Duration>) -> Option<Connection> {
    let (mut io, info) = connection.into_parts();
    let header = async {
        match timeout {
            Some(timeout) => tokio::time::timeout(timeout, read_header(&mut io)).await?,
            None => read_header(&mut io).await,
        }
    };
    let header = tokio::select! {
        header = header => header,
        () = info.close_requested() => return None,
    };
    match header {
        Ok((addresses, rest)) => {
            if let Some((client, server)) = addresses {
                info.set_proxied(client, server);
            }
            let io = if rest.is_empty() { io } else { BoxIo::new(Rewind::new(io, rest)) };
            Some(Connection::new(io, info))
        }
        Err(error) => {
            events::connection_failed(&info, &format_args!("PROXY header: {error}"));
            None
        }
    }
}

/// The addresses of client and server, if the header says them, and what came behind it.
async fn read_header(io: &mut BoxIo) -> io::Result<(Addresses, BytesMut)> {
    let mut read = BytesMut::with_capacity(256);
    loop {
        if let Some((addresses, length)) = parse(&read)? {
            read.advance(length);
            return Ok((addresses, read));
        }
        if io.read_buf(&mut read).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

type Addresses = Option<(SocketAddr, SocketAddr)>;

/// Reads a header, and says how long it is; `None` if it is not whole.
fn parse(read: &[u8]) -> io::Result<Option<(Addresses, usize)>> {
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

fn parse_v1(read: &[u8]) -> io::Result<Option<(Addresses, usize)>> {
    let Some(end) = read.iter().take(MAX_V1).position(|octet| *octet == b'\n') else {
        return if read.len() < MAX_V1 { Ok(None) } else { malformed("the line is too long") };
    };
    let line = read[V1.len()..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok());
    let Some(line) = line else { return malformed("the line is no text") };
    let words: Vec<_> = line.split(' ').collect();
    let addresses = match words[..] {
        ["UNKNOWN", ..] => None,
        ["TCP4", client, server, client_port, server_port] => {
            let ip = |text: &str| text.parse::<Ipv4Addr>().ok().map(IpAddr::from);
            Some((address(ip(client), client_port)?, address(ip(server), server_port)?))
        }
        ["TCP6", client, server, client_port, server_port] => {
            let ip = |text: &str| text.parse::<Ipv6Addr>().ok().map(IpAddr::from);
            Some((address(ip(client), client_port)?, address(ip(server), server_port)?))
        }
        _ => return malformed("no TCP4, TCP6 or UNKNOWN"),
    };
    Ok(Some((addresses, end + 1)))
}

fn address(ip: Option<IpAddr>, port: &str) -> io::Result<SocketAddr> {
    let is_plain = port == "0" || !port.starts_with('0');
    match (ip, decimal(port.as_bytes())) {
        (Some(ip), Some(port)) if is_plain => Ok(SocketAddr::new(ip, port)),
        _ => malformed("no address and port"),
    }
}

fn parse_v2(read: &[u8]) -> io::Result<Option<(Addresses, usize)>> {
    let Some(&[command, family, high, low]) = read.get(V2.len()..V2.len() + 4) else { return Ok(None) };
    let start = V2.len() + 4;
    let end = start + usize::from(u16::from_be_bytes([high, low]));
    let (is_proxied, size) = match (command, family) {
        (0x21, 0x11) => (true, 4),
        (0x21, 0x21) => (true, 16),
        // The proxy speaks for itself; it does not say; paths of Unix sockets.
        (0x20, _) | (0x21, 0x00 | 0x31) => (false, 0),
        _ => return malformed("the version, command or family is unknown"),
    };
    if end - start < 2 * size + 4 * usize::from(is_proxied) {
        return malformed("too short for its addresses");
    }
    let Some(mut body) = read.get(start..end) else { return Ok(None) };
    if !is_proxied {
        return Ok(Some((None, end)));
    }
    let mut ip = || match size {
        4 => IpAddr::from(body.get_u32().to_be_bytes()),
        _ => IpAddr::from(body.get_u128().to_be_bytes()),
    };
    let (client, server) = (ip(), ip());
    let (client_port, server_port) = (body.get_u16(), body.get_u16());
    let addresses = (SocketAddr::new(client, client_port), SocketAddr::new(server, server_port));
    Ok(Some((Some(addresses), end)))
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
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP6 ::1 ::2 56324 443\r\n".to_vec(), Some("[::1]:56324")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("192.0.2.1:56324")),
            (v2(0x21, 0x11, &[&v4[..], &[4, 0, 1, 9]].concat()), Some("192.0.2.1:56324")),
            (v2(0x21, 0x21, &v6), Some("[::1]:56324")),
            (v2(0x20, 0x00, b""), None),
            (v2(0x21, 0x31, &[0; 216]), None),
        ] {
            for cut in 0..header.len() {
                assert!(parse(&header[..cut]).unwrap().is_none(), "{cut} of {header:?}");
            }
            let (addresses, length) = parse(&[&header[..], b"GET /"].concat()).unwrap().unwrap();
            assert_eq!(length, header.len());
            assert_eq!(addresses.map(|(client, _)| client.to_string()).as_deref(), client);
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
        ] {
            assert!(parse(&header).is_err(), "{:?}", String::from_utf8_lossy(&header));
        }
    }
}
