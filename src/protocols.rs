//! Which versions of HTTP an endpoint speaks.

use std::fmt;
use std::ops::BitOr;

/// The versions of HTTP that an endpoint accepts.
///
/// The default is HTTP/1.1 and HTTP/2. A set is never empty.
///
/// # Differences from Kestrel
///
/// On a cleartext endpoint that has both, Kestrel speaks HTTP/1.1 only. Here a client may also
/// begin with the HTTP/2 preface ("prior knowledge", RFC 9113 section 3.3).
///
/// # Example
///
/// ```
/// use kestrel_rs::Protocols;
///
/// let protocols = Protocols::HTTP1 | Protocols::HTTP2;
/// assert_eq!(protocols, Protocols::default());
/// assert!(protocols.contains(Protocols::HTTP2));
/// assert_eq!(protocols.to_string(), "HTTP/1.1 and HTTP/2");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Protocols(u8);

impl Protocols {
    /// HTTP/1.0 and HTTP/1.1.
    pub const HTTP1: Self = Self(1);
    /// HTTP/2: in clear by prior knowledge.
    pub const HTTP2: Self = Self(2);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for Protocols {
    fn default() -> Self {
        Self::HTTP1 | Self::HTTP2
    }
}

impl BitOr for Protocols {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::HTTP1 => "HTTP/1.1",
            Self::HTTP2 => "HTTP/2",
            _ => "HTTP/1.1 and HTTP/2",
        })
    }
}

impl fmt::Debug for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocols({self})")
    }
}
