//! The layer and its options.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::BitOr;
use std::sync::Arc;

use http::HeaderName;
use tower::Layer;

use super::{ForwardedHeadersService, IpNetwork};
use crate::connection::Trust;
use crate::error::Error;
use crate::request::AllowedHosts;

/// Which of the things that a proxy may say are believed.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::ForwardedHeaders;
///
/// let headers = ForwardedHeaders::FOR | ForwardedHeaders::PROTO;
/// assert!(headers.contains(ForwardedHeaders::FOR));
/// assert!(!headers.contains(ForwardedHeaders::HOST));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ForwardedHeaders(u8);

impl ForwardedHeaders {
    /// The address of the client: `X-Forwarded-For`.
    pub const FOR: Self = Self(1);
    /// The scheme that it used: `X-Forwarded-Proto`.
    pub const PROTO: Self = Self(2);
    /// The host that it wrote: `X-Forwarded-Host`.
    pub const HOST: Self = Self(4);
    /// What was taken off the path: `X-Forwarded-Prefix`.
    pub const PREFIX: Self = Self(8);
    /// All of these.
    pub const ALL: Self = Self(15);

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ForwardedHeaders {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for ForwardedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all =
            [(Self::FOR, "For"), (Self::PROTO, "Proto"), (Self::HOST, "Host"), (Self::PREFIX, "Prefix")];
        f.debug_set()
            .entries(all.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, name)| name))
            .finish()
    }
}

/// Believes what trusted proxies say of the client.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`forward_limit`](Self::forward_limit) | 1: the nearest proxy |
/// | [`known_proxies`](Self::known_proxies) | `::1` |
/// | [`known_networks`](Self::known_networks) | `127.0.0.0/8` |
/// | [`allowed_hosts`](Self::allowed_hosts) | every host |
/// | [`require_header_symmetry`](Self::require_header_symmetry) | off |
/// | [`forwarded`](Self::forwarded) | off: the `X-Forwarded-` headers are read |
///
/// What ASP.NET Core does where `ASPNETCORE_FORWARDEDHEADERS_ENABLED` is `true` is
/// `ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO).trusting_anyone()`.
///
/// # Panics
///
/// Where it is put around a service while no proxy and no network is left: an empty list is none that anybody means.
/// [`check`](Self::check) says it as an error, for lists that come from elsewhere.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::{AllowedHosts, ForwardedHeaders, ForwardedHeadersLayer};
///
/// # fn main() -> Result<(), kestrel_rs::Error> {
/// let layer = ForwardedHeadersLayer::new(ForwardedHeaders::ALL)
///     .known_proxies(["192.0.2.1".parse().unwrap()])
///     .known_networks(["10.0.0.0/8".parse()?, "fd00::/8".parse()?])
///     .forward_limit(2)
///     .allowed_hosts(AllowedHosts::new(["*.example.com"])?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ForwardedHeadersLayer {
    pub(super) headers: ForwardedHeaders,
    pub(super) limit: Option<usize>,
    pub(super) trust: Trust,
    pub(super) hosts: Option<AllowedHosts>,
    pub(super) symmetric: bool,
    pub(super) standard: bool,
    pub(super) names: Names,
}

#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) client: HeaderName,
    pub(super) proto: HeaderName,
    pub(super) host: HeaderName,
    pub(super) prefix: HeaderName,
    pub(super) original_client: HeaderName,
    pub(super) original_proto: HeaderName,
    pub(super) original_host: HeaderName,
    pub(super) original_prefix: HeaderName,
}

impl ForwardedHeadersLayer {
    /// Believes these headers, from the machine itself, one proxy deep.
    pub fn new(headers: ForwardedHeaders) -> Self {
        Self {
            headers,
            limit: Some(1),
            trust: Trust::Some {
                proxies: [Ipv6Addr::LOCALHOST.into()].into(),
                networks: [IpNetwork::LOOPBACK].into(),
            },
            hosts: None,
            symmetric: false,
            standard: false,
            names: Names {
                client: HeaderName::from_static("x-forwarded-for"),
                proto: HeaderName::from_static("x-forwarded-proto"),
                host: HeaderName::from_static("x-forwarded-host"),
                prefix: HeaderName::from_static("x-forwarded-prefix"),
                original_client: HeaderName::from_static("x-original-for"),
                original_proto: HeaderName::from_static("x-original-proto"),
                original_host: HeaderName::from_static("x-original-host"),
                original_prefix: HeaderName::from_static("x-original-prefix"),
            },
        }
    }

    /// How many proxies are believed, from the nearest on: how many stand before the server. `None` is as many as
    /// are known, each trusted by the one before.
    ///
    /// Too high with [`trusting_anyone`](Self::trusting_anyone), and the client says what it wants.
    pub fn forward_limit(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// The addresses of the proxies, instead of `::1`. Also IPv4 addresses on a socket for both families.
    ///
    /// One here or among the networks there must be; see [`check`](Self::check).
    pub fn known_proxies(mut self, proxies: impl IntoIterator<Item = IpAddr>) -> Self {
        let (_, networks) = self.known();
        self.trust = Trust::Some { proxies: proxies.into_iter().collect(), networks };
        self
    }

    /// The networks of the proxies, instead of `127.0.0.0/8`.
    ///
    /// One here or among the proxies there must be; see [`check`](Self::check).
    pub fn known_networks(mut self, networks: impl IntoIterator<Item = IpNetwork>) -> Self {
        let (proxies, _) = self.known();
        self.trust = Trust::Some { proxies, networks: networks.into_iter().collect() };
        self
    }

    /// Believes whoever connects, also where nothing is known of them. Only for a server that nobody but its proxy can
    /// reach.
    pub fn trusting_anyone(mut self) -> Self {
        self.trust = Trust::Anyone;
        self
    }

    /// An error if no proxy and no network is left to be trusted.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer};
    ///
    /// let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR).known_proxies([]);
    /// assert!(layer.check().is_ok()); // 127.0.0.0/8 is there
    /// let error = layer.known_networks([]).check().unwrap_err();
    /// assert!(error.to_string().contains("trusting_anyone()"));
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        self.trust.check("ForwardedHeadersLayer")
    }

    fn known(&self) -> (Arc<[IpAddr]>, Arc<[IpNetwork]>) {
        match &self.trust {
            Trust::Anyone => Default::default(),
            Trust::Some { proxies, networks } => (proxies.clone(), networks.clone()),
        }
    }

    /// Passes over forwarded hosts that are not in this list.
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Believes nothing at all where the headers do not have the same number of values, or where one of the values
    /// that would be taken is none.
    pub fn require_header_symmetry(mut self) -> Self {
        self.symmetric = true;
        self
    }

    /// Reads `Forwarded` (RFC 7239) instead of the `X-Forwarded-` headers: `for`, `proto` and `host` of its elements,
    /// each of which is what one proxy said. It has no prefix.
    ///
    /// Only for proxies that write this header: one that does not know it hands on what the client wrote.
    pub fn forwarded(mut self) -> Self {
        self.standard = true;
        self
    }

    /// Reads addresses from this header instead of `X-Forwarded-For`.
    pub fn for_header(mut self, name: HeaderName) -> Self {
        self.names.client = name;
        self
    }

    /// Reads schemes from this header instead of `X-Forwarded-Proto`.
    pub fn proto_header(mut self, name: HeaderName) -> Self {
        self.names.proto = name;
        self
    }

    /// Reads hosts from this header instead of `X-Forwarded-Host`.
    pub fn host_header(mut self, name: HeaderName) -> Self {
        self.names.host = name;
        self
    }

    /// Reads prefixes from this header instead of `X-Forwarded-Prefix`.
    pub fn prefix_header(mut self, name: HeaderName) -> Self {
        self.names.prefix = name;
        self
    }

    /// Keeps the address of the connection in this header instead of `X-Original-For`.
    pub fn original_for_header(mut self, name: HeaderName) -> Self {
        self.names.original_client = name;
        self
    }

    /// Keeps the scheme in this header instead of `X-Original-Proto`.
    pub fn original_proto_header(mut self, name: HeaderName) -> Self {
        self.names.original_proto = name;
        self
    }

    /// Keeps the host in this header instead of `X-Original-Host`.
    pub fn original_host_header(mut self, name: HeaderName) -> Self {
        self.names.original_host = name;
        self
    }

    /// Keeps the path base in this header instead of `X-Original-Prefix`.
    pub fn original_prefix_header(mut self, name: HeaderName) -> Self {
        self.names.original_prefix = name;
        self
    }
}

impl<S> Layer<S> for ForwardedHeadersLayer {
    type Service = ForwardedHeadersService<S>;

    fn layer(&self, inner: S) -> ForwardedHeadersService<S> {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
        ForwardedHeadersService { inner, options: self.clone() }
    }
}
