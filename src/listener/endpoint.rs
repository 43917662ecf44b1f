//! One endpoint: an address, and what is special about it.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::serve::Listener;

use super::unix_file::{UnixFile, UnixId};
use super::{Address, AddressKind, SocketOptions};
use crate::connection::{BoxConnectionService, ConnectionLayer};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::protocols::Protocols;
#[cfg(feature = "tls")]
use crate::tls::{Followed, TlsLayer, TlsOptions};
use crate::transport::CustomSocket;

/// An address to listen on, and what is special about it: protocols, limits, connection layers.
///
/// Setters consume and return the endpoint, so that they chain. A value that an option cannot have
/// is reported by [`check`](Self::check), which [`bind`](super::Builder::bind) calls.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`protocols`](Self::protocols) | HTTP/1.1 and HTTP/2 |
/// | [`limits`](Self::limits) | those of the [`Builder`](super::Builder::limits) |
/// | [`layer`](Self::layer) | none |
/// | `tls` | none: plain HTTP; on an `https` address the development certificate of this user, if there is one when it is bound |
/// | [`socket_options`](Self::socket_options) | those of the [`Builder`](super::Builder::socket_options) |
/// | [`unix_mode`](Self::unix_mode) | what the umask of the process leaves |
/// | [`unix_owner`](Self::unix_owner), [`unix_group`](Self::unix_group) | those of the process |
///
/// # Differences from Kestrel
///
/// A file that a dead server left at the path of a Unix socket is replaced, and its mode, owner and
/// group can be set; in Kestrel the address is "in use", and they are fixed.
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::ConnectionLimitLayer;
/// use kestrel_rs::{Endpoint, Limits, Protocols};
///
/// let public = Endpoint::any_ip(80).layer(ConnectionLimitLayer::new(5_000));
/// let private = Endpoint::unix("/run/app.sock")
///     .unix_mode(0o660)
///     .protocols(Protocols::HTTP1)
///     .limits(Limits::default().max_request_body_size(None));
/// assert_eq!(private.address().to_string(), "http://unix:/run/app.sock");
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) address: Address,
    /// The socket itself, where somebody else has opened it.
    pub(super) descriptor: Option<Arc<OwnedFd>>,
    pub(super) custom: Option<Custom>,
    pub(super) protocols: Protocols,
    pub(super) limits: Option<Limits>,
    pub(super) layers: ConnectionLayers,
    /// TLS, and how many of the layers are before it.
    #[cfg(feature = "tls")]
    pub(super) tls: Option<(usize, TlsOptions)>,
    /// `tls` was called more than once.
    #[cfg(feature = "tls")]
    tls_twice: bool,
    pub(super) socket_options: Option<SocketOptions>,
    pub(super) unix_file: UnixFile,
}

impl Endpoint {
    /// The endpoint that an address such as `http://*:80` means; see [`Address`].
    ///
    /// One of `https` that is given no `tls` gets the development certificate of this user when it
    /// is bound (`Certificate::find_development`), inside all its layers. Without one, `bind` fails
    /// and says how to make it.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Endpoint;
    ///
    /// let endpoint = Endpoint::parse("http://unix:/run/app.sock")?;
    /// assert!(Endpoint::parse("http://localhost:").unwrap_err().is_address());
    /// # Ok::<(), kestrel_rs::Error>(())
    /// ```
    pub fn parse(address: &str) -> Result<Self, Error> {
        Ok(Self::new(address.parse()?))
    }

    /// One IP address. For port 0 the system picks one; `[::]` takes IPv4 too.
    pub fn ip(address: impl Into<SocketAddr>) -> Self {
        Self::new(Address::new(AddressKind::Ip(address.into()), false))
    }

    /// Both loopback addresses, `127.0.0.1` and `[::1]`. Port 0 is an error at `bind`: they would
    /// get different ones.
    pub fn localhost(port: u16) -> Self {
        Self::new(Address::new(AddressKind::Localhost { name: "localhost".into(), port }, false))
    }

    /// Every address of the machine, IPv4 and IPv6; IPv4 alone where there is no IPv6. For port 0
    /// the system picks one.
    pub fn any_ip(port: u16) -> Self {
        Self::new(Address::new(AddressKind::AnyIp { port }, false))
    }

    /// A Unix socket at an absolute path of at most 107 bytes.
    ///
    /// The file is made by `bind`, in place of one that a dead server has left, and removed at the
    /// end. A socket on which somebody answers, and any other file, is left alone: an error.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::new(Address::new(AddressKind::Unix(path.into()), false))
    }

    /// A socket, TCP or Unix, on which another process has called `listen`.
    ///
    /// The endpoint owns it from now on. The file of a Unix socket is not removed at the end.
    ///
    /// # Differences from Kestrel
    ///
    /// There it is a number, which can be wrong. Here it is an open descriptor; that it is a
    /// listening socket is found out at `bind`.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::{Endpoint, KestrelListener};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let address = socket.local_addr()?;
    ///
    /// let endpoint = Endpoint::descriptor(socket);
    /// let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
    /// assert_eq!(listener.local_addrs()[0].socket_addr(), Some(address));
    /// # Ok(()) }
    /// ```
    pub fn descriptor(socket: impl Into<OwnedFd>) -> Self {
        let socket = socket.into();
        let address = Address::new(AddressKind::Descriptor(socket.as_raw_fd()), false);
        Self { descriptor: Some(Arc::new(socket)), ..Self::new(address) }
    }

    /// The sockets that systemd has opened for this process (`Sockets=` of its unit), in the order
    /// of the unit; none if it was not started so (`LISTEN_PID` is not this process).
    ///
    /// Call it once, before the process has other threads: it takes `LISTEN_PID` and `LISTEN_FDS`
    /// out of the environment, so that no child takes the sockets for its own. A second call finds
    /// none.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::{Endpoint, KestrelListener};
    ///
    /// let mut builder = KestrelListener::builder();
    /// for endpoint in Endpoint::systemd()? {
    ///     builder = builder.endpoint(endpoint);
    /// }
    /// # Ok::<(), kestrel_rs::Error>(())
    /// ```
    pub fn systemd() -> Result<Vec<Self>, Error> {
        // `listenfd` would also take sockets that name no process.
        let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        if !ours {
            return Ok(Vec::new());
        }
        let mut sockets = listenfd::ListenFd::from_env();
        (0..sockets.len())
            .filter_map(|i| match sockets.take_tcp_listener(i) {
                Ok(socket) => socket.map(|socket| Ok(Self::descriptor(socket))),
                Err(_) => match sockets.take_unix_listener(i) {
                    Ok(socket) => socket.map(|socket| Ok(Self::descriptor(socket))),
                    Err(error) => Some(Err(Error::new(
                        ErrorKind::Bind,
                        format!(
                            "socket {i} from systemd is neither TCP nor a Unix stream; use ListenStream= for it"
                        ),
                    )
                    .with_source(error))),
                },
            })
            .collect()
    }

    /// Any listener that `axum::serve` takes: another kind of socket, or streams that another
    /// program, a tunnel or a test gives. All that an endpoint has works on it: limits, layers,
    /// TLS, the shutdown.
    ///
    /// `name` is what the log and [`ConnectionInfo::endpoint`](crate::ConnectionInfo::endpoint) call
    /// it: `http://name`. Where the listener's addresses are `SocketAddr`, connections have them as
    /// any other; of whatever type the address of a client is, it is kept with the connection:
    /// `connection.get::<L::Addr>()`.
    ///
    /// `cargo run --example custom_transport` serves streams in memory.
    ///
    /// There is one listener, so clones of the endpoint share it, and only one of them can be bound.
    /// It is dropped when the server stops accepting. What a reset is on such a stream nobody knows:
    /// a connection that is [aborted](crate::ConnectionInfo::abort) is dropped.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::serve::ListenerExt;
    /// use kestrel_rs::{Endpoint, KestrelListener};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?.tap_io(|stream| {
    ///     let _ = stream.set_nodelay(true);
    /// });
    /// let listener = KestrelListener::builder().endpoint(Endpoint::custom("tapped", listener)).bind().await?;
    /// assert_eq!(listener.addresses()[0].to_string(), "http://tapped");
    /// assert!(listener.local_addrs()[0].socket_addr().is_some());
    /// # Ok(()) }
    /// ```
    pub fn custom<L>(name: &str, listener: L) -> Self
    where
        L: Listener<Addr: Clone + Sync + 'static>,
    {
        let address = Address::new(AddressKind::Custom(name.into()), false);
        Self { custom: Some(Custom::new(CustomSocket::new(name, listener))), ..Self::new(address) }
    }

    /// The versions of HTTP that are spoken here; default HTTP/1.1 and HTTP/2.
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// The limits of this endpoint, in place of all of the listener's; default: the listener's.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Puts a layer around the connections of this endpoint, inside those added before: the first
    /// added is outermost, as with `ServiceBuilder` and Kestrel's `Use`, and unlike
    /// [`axum::Router::layer`]. Each bound socket gets its own; `localhost` has two.
    pub fn layer(mut self, layer: impl ConnectionLayer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Speaks TLS here, and makes the address `https`. It takes its place among the
    /// [layers](Self::layer): those added before see ciphertext, those added after plaintext.
    ///
    /// What is wrong with the options, and a second call, is an error at `bind`.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::connection::ConnectionLimitLayer;
    /// use kestrel_rs::{Endpoint, TlsOptions};
    ///
    /// fn endpoint(tls: TlsOptions) -> Endpoint {
    ///     Endpoint::any_ip(443)
    ///         .layer(ConnectionLimitLayer::new(5_000)) // no handshake for those it refuses
    ///         .tls(tls)
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls_twice |= self.tls.is_some();
        self.tls = Some((self.layers.0.len(), options));
        self.address = self.address.with_https();
        self
    }

    /// How the sockets are set up, in place of all of the listener's options; default: the
    /// listener's.
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.socket_options = Some(options);
        self
    }

    /// The permissions of the file of a Unix socket, at most `0o777`; default: what the umask
    /// leaves. A client needs the right to write.
    ///
    /// They are set before anybody can connect. On an endpoint that makes no such file this is an
    /// error at `bind`.
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_file.mode = Some(mode);
        self
    }

    /// The user that the file of a Unix socket belongs to, by number or by name; default: the one
    /// that the process runs as. To give a file to somebody else takes root, or `CAP_CHOWN`.
    ///
    /// It is set before anybody can connect. On an endpoint that makes no such file, and with a name
    /// that [is not found](UnixId), this is an error at `bind`.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Endpoint;
    ///
    /// // nginx may connect, nobody else.
    /// let endpoint = Endpoint::unix("/run/app.sock").unix_owner("root").unix_group(33).unix_mode(0o660);
    /// ```
    pub fn unix_owner(mut self, user: impl Into<UnixId>) -> Self {
        self.unix_file.owner = Some(user.into());
        self
    }

    /// The group that the file of a Unix socket belongs to, as [`unix_owner`](Self::unix_owner);
    /// default: that of the process, or of the folder if that hands it on. A user may choose among
    /// the groups that it is in.
    pub fn unix_group(mut self, group: impl Into<UnixId>) -> Self {
        self.unix_file.group = Some(group.into());
        self
    }

    /// Where this endpoint listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Whether this endpoint can be at all: its address, its mode, its limits.
    pub fn check(&self) -> Result<(), Error> {
        self.address.check()?;
        let wrong = |what: String| Err(Error::new(ErrorKind::Option, format!("{}: {what}", self.address)));
        self.unix_file.check(&self.address).map_err(|error| error.at(&self.address))?;
        if self.custom.is_some() && self.socket_options.is_some() {
            return wrong("socket_options: a custom listener has been set up already".to_owned());
        }
        #[cfg(feature = "tls")]
        if self.tls_twice {
            return wrong("tls: an endpoint has one TLS; remove one of the two calls".to_owned());
        }
        match &self.limits {
            Some(limits) => limits.check().map_err(|error| error.at(&self.address)),
            None => Ok(()),
        }
    }

    /// The layers with TLS at its place, made for this endpoint.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unnecessary_wraps, reason = "TLS may be wrong"))]
    pub(crate) fn all_layers(&self) -> Result<ConnectionLayers, Error> {
        #[cfg(feature = "tls")]
        if let Some((place, options)) = &self.tls {
            let tls =
                TlsLayer::new(options.clone(), self.protocols).map_err(|error| error.at(&self.address))?;
            let mut layers = self.layers.clone();
            layers.0.insert(*place, Arc::new(move |service| tls.wrap(service)));
            return Ok(layers);
        }
        Ok(self.layers.clone())
    }

    /// Those whose files are to be followed. What a selector or a resolver will give is not known.
    #[cfg(feature = "tls")]
    pub(crate) fn followed(&self) -> Vec<Followed> {
        self.tls.iter().flat_map(|(_, options)| options.followed()).collect()
    }

    /// An https address needs TLS.
    pub(super) fn check_https(&self) -> Result<(), Error> {
        #[cfg(feature = "tls")]
        let has_tls = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let has_tls = false;
        if self.address.is_https() && !has_tls {
            return Err(Error::new(ErrorKind::Option, format!("{}: {NO_TLS}", self.address)));
        }
        Ok(())
    }

    fn new(address: Address) -> Self {
        Self {
            address,
            descriptor: None,
            custom: None,
            protocols: Protocols::default(),
            limits: None,
            layers: ConnectionLayers::default(),
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            tls_twice: false,
            socket_options: None,
            unix_file: UnixFile::default(),
        }
    }
}

#[cfg(feature = "tls")]
const NO_TLS: &str = "an https address needs a certificate; give one with `.tls(TlsOptions::new(Certificate::from_pem_files(\"cert.pem\", \"key.pem\")?))`, or make one for development, once for this user, with `kestrel_rs::tls::create_development_certificate()` (cargo feature `dev-certificate`), or use http";
#[cfg(not(feature = "tls"))]
const NO_TLS: &str = "this build has no TLS; turn the cargo feature `tls` on, or use http";

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self, Error> {
        Self::parse(address)
    }
}

/// A custom listener, until it is bound.
#[derive(Clone, Debug)]
pub(super) struct Custom(Arc<Mutex<Option<CustomSocket>>>);

impl Custom {
    fn new(socket: CustomSocket) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    /// `None` once it has been taken.
    pub(super) fn take(&self) -> Option<CustomSocket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The layers of an endpoint, the first one outermost.
#[derive(Clone, Default)]
pub(crate) struct ConnectionLayers(Vec<Arc<WrapFn>>);

type WrapFn = dyn Fn(BoxConnectionService) -> BoxConnectionService + Send + Sync;

impl ConnectionLayers {
    pub(crate) fn push(&mut self, layer: impl ConnectionLayer) {
        self.0.push(Arc::new(move |service| layer.wrap(service)));
    }

    /// Puts all of them around the service that is to be innermost. Call it once for each socket,
    /// so that no two share a layer's state.
    pub(crate) fn wrap(&self, innermost: BoxConnectionService) -> BoxConnectionService {
        self.0.iter().rev().fold(innermost, |service, layer| layer(service))
    }
}

impl fmt::Debug for ConnectionLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionLayers({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::connection::{BoxIo, Connection, ConnectionInfo, Next, from_fn};
    use crate::error::BoxError;

    #[tokio::test]
    async fn the_first_layer_is_outermost() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let seen = Arc::clone(&seen);
            from_fn(move |connection: Connection, next: Next| {
                seen.lock().unwrap().push(name);
                next.run(connection)
            })
        };
        let endpoint = Endpoint::any_ip(80).layer(note("first")).layer(note("second"));
        let innermost = service_fn(|_: Connection| async { Ok::<(), BoxError>(()) });
        let service = endpoint.layers.wrap(BoxConnectionService::new(innermost));
        let info = ConnectionInfo::new(
            "test".into(),
            None,
            crate::transport::Peer::Unknown,
            crate::transport::ResetOnDrop::default(),
        );
        service.oneshot(Connection::new(BoxIo::new(tokio::io::empty()), info)).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), ["first", "second"]);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_endpoint() {
        for (endpoint, expected) in [
            (Endpoint::unix("/x").unix_mode(0o1777), "http://unix:/x: unix_mode: 0o1777"),
            (Endpoint::any_ip(80).unix_mode(0o600), "http://[::]:80: unix_mode"),
            (
                Endpoint::any_ip(80).limits(Limits::default().max_request_header_count(0)),
                "http://[::]:80: max_request_header_count",
            ),
        ] {
            let error = endpoint.check().unwrap_err();
            assert!(error.is_option() && error.to_string().starts_with(expected), "{error}");
        }
        for endpoint in [Endpoint::localhost(0), Endpoint::unix("x"), Endpoint::unix("")] {
            assert!(endpoint.check().unwrap_err().is_address());
        }
    }
}
