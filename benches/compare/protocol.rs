//! What the servers are asked in, and what all of them answer.

use std::str::FromStr;

/// The body of every response.
pub(crate) const HELLO: &str = "Hello World!";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Https => "https",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Http1, Self::Http2, Self::Https]
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| format!("{name} is not a protocol"))
    }
}
