//! What a client says first.

use std::fmt;
use std::sync::Arc;

use crate::connection::ConnectionInfo;

/// What a client has said of itself before anything is decided; see
/// [`TlsOptions::resolver`](super::TlsOptions::resolver).
///
/// # Example
///
/// See [`TlsOptions::resolver`](super::TlsOptions::resolver).
#[derive(Clone)]
pub struct ClientHello {
    connection: ConnectionInfo,
    server_name: Option<String>,
    offers: Arc<Offers>,
}

/// What a client offers, whatever it asks for.
pub(super) struct Offers {
    alpn: Vec<Vec<u8>>,
    cipher_suites: Vec<u16>,
}

impl ClientHello {
    pub(super) fn new(connection: &ConnectionInfo, hello: &rustls::server::ClientHello<'_>) -> Self {
        Self {
            connection: connection.clone(),
            server_name: hello.server_name().map(str::to_owned),
            offers: Arc::new(Offers {
                alpn: hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect(),
                cipher_suites: hello.cipher_suites().iter().map(|suite| u16::from(*suite)).collect(),
            }),
        }
    }

    /// What the same client would have said to ask for another name.
    pub(super) fn asking_for(
        server_name: Option<String>,
        connection: ConnectionInfo,
        offers: Arc<Offers>,
    ) -> Self {
        Self { connection, server_name, offers }
    }

    pub(super) fn offers(&self) -> Arc<Offers> {
        Arc::clone(&self.offers)
    }

    /// The connection that it came on.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    /// The name that the client asks for (SNI), in lower case; `None` if it asks for none, or for
    /// an IP address.
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocols that it offers by ALPN.
    pub fn alpn(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.offers.alpn.iter().map(Vec::as_slice)
    }

    /// The cipher suites that it offers, by their IANA numbers.
    pub fn cipher_suites(&self) -> &[u16] {
        &self.offers.cipher_suites
    }
}

impl fmt::Debug for ClientHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHello")
            .field("connection", &self.connection.id())
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// How many octets of `wire` are the records of the first handshake message.
pub(super) fn length_of_records(wire: &[u8]) -> usize {
    let (mut at, mut message) = (0, Vec::with_capacity(4));
    let mut received = 0;
    while let Some(&[_, _, _, high, low]) = wire.get(at..at + 5) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(content) = wire.get(at + 5..at + 5 + length) else { break };
        message.extend(content.iter().take(4 - message.len()));
        received += length;
        at += 5 + length;
        if let &[_, high, middle, low] = message.as_slice() {
            let claimed = u32::from_be_bytes([0, high, middle, low]);
            if u32::try_from(received).is_ok_and(|received| received >= claimed.saturating_add(4)) {
                return at;
            }
        }
    }
    wire.len()
}

#[cfg(test)]
mod tests {
    use super::length_of_records;

    #[test]
    fn a_hello_ends_with_its_last_record() {
        let one = [22, 3, 1, 0, 6, 1, 0, 0, 2, 9, 9];
        let two = [22, 3, 1, 0, 2, 1, 0, 22, 3, 1, 0, 4, 0, 2, 9, 9];
        assert_eq!(length_of_records(&[&one[..], &[23, 3, 3]].concat()), one.len());
        assert_eq!(length_of_records(&[&two[..], &[23]].concat()), two.len());
        assert_eq!(length_of_records(&one[..8]), 8);
    }
}
