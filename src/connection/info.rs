//! What is known of a connection, and how to end it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use http::Extensions;
use tokio_util::sync::CancellationToken;

use super::{ProxyHeader, TlsInfo};
use crate::telemetry::About;
use crate::transport::{Peer, ResetOnDrop};

/// What is known of the connection that a request came on, and how to end it.
///
/// A handler takes it as an extractor; a connection layer gets it from
/// [`Connection::info`](super::Connection::info). Cloning is cheap, all clones are one connection.
///
/// Inside [`ForwardedHeadersLayer`](crate::request::ForwardedHeadersLayer) a handler finds the address of the client
/// that the proxies forwarded for its request.
///
/// # Example
///
/// ```
/// use kestrel_rs::ConnectionInfo;
///
/// async fn whoami(connection: ConnectionInfo) -> String {
///     match connection.remote_addr() {
///         Some(address) => format!("{address} on connection {}", connection.id()),
///         None => "somebody on a Unix socket".to_owned(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(whoami));
/// ```
#[derive(Clone)]
pub struct ConnectionInfo(
    Arc<ConnectionState>,
    /// The address of the client, where it is another than that of the connection.
    Option<SocketAddr>,
);

struct ConnectionState {
    id: ConnectionId,
    local: Option<SocketAddr>,
    peer: Peer,
    endpoint: Arc<str>,
    reset: ResetOnDrop,
    wishes: Wishes,
    close_requested: Event,
    closed: Event,
    /// What counts this connection against a limit; let go of when it is upgraded.
    slots: Mutex<Vec<Slot>>,
    tls: OnceLock<TlsInfo>,
    /// What a proxy in front has said.
    proxied: OnceLock<Box<ProxyHeader>>,
    /// What layers and handlers keep with the connection.
    items: Mutex<Extensions>,
}

/// A place that a connection takes up under a limit; freed when it is dropped.
type Slot = Box<dyn Send>;

/// What was asked of the task that drives the connection.
#[derive(Default)]
struct Wishes {
    abort: AtomicBool,
    close: AtomicBool,
    driver: Mutex<Option<Waker>>,
}

/// A connection for those that it keeps itself.
#[cfg(feature = "tls")]
pub(crate) struct WeakConnection(std::sync::Weak<ConnectionState>);

#[cfg(feature = "tls")]
impl WeakConnection {
    pub(crate) fn of(connection: &ConnectionInfo) -> Self {
        Self(Arc::downgrade(&connection.0))
    }

    /// `None` once it has ended.
    pub(crate) fn connection(&self) -> Option<ConnectionInfo> {
        Some(ConnectionInfo(self.0.upgrade()?, None))
    }
}

impl ConnectionInfo {
    pub(crate) fn new(endpoint: Arc<str>, local: Option<SocketAddr>, peer: Peer, reset: ResetOnDrop) -> Self {
        let shared = ConnectionState {
            id: ConnectionId::next(),
            local,
            peer,
            endpoint,
            reset,
            wishes: Wishes::default(),
            close_requested: Event::default(),
            closed: Event::default(),
            slots: Mutex::default(),
            tls: OnceLock::new(),
            proxied: OnceLock::new(),
            items: Mutex::default(),
        };
        Self(Arc::new(shared), None)
    }

    /// The same connection, in the eyes of a request that a proxy forwarded for this client.
    pub(crate) fn with_remote_addr(mut self, client: SocketAddr) -> Self {
        self.1 = Some(client);
        self
    }

    /// The identity of this connection, unique within the process.
    pub fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// The address that the client connected to; `None` on a Unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.proxy_header().and_then(ProxyHeader::local_addr).or(self.0.local)
    }

    /// The address of the client, or of the proxy before it; `None` on a Unix socket, and where the
    /// transport has no IP addresses. With a
    /// [`ProxyProtocolLayer`](super::ProxyProtocolLayer) it is what a trusted proxy says.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote().ip()
    }

    /// The client, or the proxy before it.
    pub(crate) fn remote(&self) -> Peer {
        let said = self.1.or_else(|| self.proxy_header().and_then(ProxyHeader::remote_addr));
        said.map_or(self.0.peer, Peer::Ip)
    }

    /// The address of who is at the other end of the socket, whatever it says of its client;
    /// `None` on a Unix socket, and where the transport has no IP addresses.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer.ip()
    }

    /// Who is at the other end of the socket.
    pub(crate) fn peer(&self) -> Peer {
        self.0.peer
    }

    /// What a trusted proxy said of the client by the PROXY protocol; `None` without a
    /// [`ProxyProtocolLayer`](super::ProxyProtocolLayer), or where the proxy spoke for itself.
    pub fn proxy_header(&self) -> Option<&ProxyHeader> {
        self.0.proxied.get().map(|header| &**header)
    }

    /// What the TLS handshake came to; `None` before it, and on a connection without TLS.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls.get()
    }

    /// Whether the client came by TLS: to this server, or to a proxy that [says so](ProxyHeader::is_tls).
    pub fn is_https(&self) -> bool {
        self.0.tls.get().is_some() || self.proxy_header().is_some_and(ProxyHeader::is_tls)
    }

    /// Keeps a value with the connection, for the layers and requests that come later; returns the
    /// one of this type that was there before.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::connection::{self, Connection, Next};
    /// use kestrel_rs::{ConnectionInfo, Endpoint};
    ///
    /// #[derive(Clone)]
    /// struct Region(&'static str);
    ///
    /// let endpoint = Endpoint::any_ip(80).layer(connection::from_fn(
    ///     async |connection: Connection, next: Next| {
    ///         connection.info().insert(Region("eu"));
    ///         next.run(connection).await
    ///     },
    /// ));
    ///
    /// async fn handler(connection: ConnectionInfo) -> &'static str {
    ///     connection.get::<Region>().map_or("nowhere", |region| region.0)
    /// }
    /// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
    /// ```
    pub fn insert<T: Clone + Send + Sync + 'static>(&self, value: T) -> Option<T> {
        lock(&self.0.items).insert(value)
    }

    /// Keeps what the transport says of the connection.
    pub(crate) fn insert_all(&self, items: Extensions) {
        if !items.is_empty() {
            lock(&self.0.items).extend(items);
        }
    }

    /// The value of this type that is [kept](Self::insert) with the connection.
    pub fn get<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        lock(&self.0.items).get().cloned()
    }

    /// The endpoint that accepted this connection, as text: `http://127.0.0.1:5000`.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Ends the connection now, with a reset: what was not sent yet is lost, running handlers are
    /// dropped.
    ///
    /// On HTTP/2 this ends every stream of the connection.
    pub fn abort(&self) {
        self.0.reset.set();
        self.0.wishes.abort.store(true, Ordering::Release);
        self.wake_driver();
    }

    /// Closes the connection once the responses in work are complete. On HTTP/1.1 the response
    /// says `Connection: close` if its head is not on its way yet; on HTTP/2 the client gets a
    /// GOAWAY.
    pub fn request_close(&self) {
        self.0.wishes.close.store(true, Ordering::Release);
        self.0.close_requested.fire();
        self.wake_driver();
    }

    /// Waits until somebody wants this connection to come to its end: the server, because it
    /// shuts down, or [`request_close`](Self::request_close).
    ///
    /// What is not a request any more, a WebSocket or a tunnel, should listen to this: it is cut
    /// when the time for the shutdown is over.
    pub async fn close_requested(&self) {
        self.0.close_requested.wait().await;
    }

    /// Waits until the connection is closed.
    ///
    /// Wait in a task of its own: a handler ends with its connection.
    pub async fn closed(&self) {
        self.0.closed.wait().await;
    }

    /// Whether the connection is closed.
    pub fn is_closed(&self) -> bool {
        self.0.closed.has_fired()
    }

    #[cfg(feature = "tls")]
    pub(crate) fn set_tls(&self, tls: TlsInfo) {
        // A connection inside another one's TLS keeps what the outer one said.
        let _ = self.0.tls.set(tls);
    }

    pub(crate) fn set_proxy_header(&self, header: ProxyHeader) {
        // The outermost layer's counts: its word is the nearest proxy's.
        let _ = self.0.proxied.set(Box::new(header));
    }

    pub(crate) fn wants_abort(&self) -> bool {
        self.0.wishes.abort.load(Ordering::Acquire)
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.0.wishes.close.load(Ordering::Acquire)
    }

    /// The task to wake when a wish comes.
    pub(crate) fn set_driver(&self, waker: &Waker) {
        *lock(&self.0.wishes.driver) = Some(waker.clone());
    }

    pub(crate) fn add_slot(&self, slot: Box<dyn Send>) {
        lock(&self.0.slots).push(slot);
    }

    /// Stops counting this connection against the limits for connections.
    pub(crate) fn release_slots(&self) {
        lock(&self.0.slots).clear();
    }

    pub(crate) fn set_closed(&self) {
        self.release_slots();
        self.0.closed.fire();
    }

    /// Has the task that drives the connection look around.
    pub(crate) fn wake_driver(&self) {
        let driver = lock(&self.0.wishes.driver).clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl About for ConnectionInfo {
    fn id(&self) -> &dyn fmt::Display {
        &self.0.id
    }

    fn endpoint(&self) -> &str {
        &self.0.endpoint
    }
}

impl fmt::Debug for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionInfo")
            .field("id", &self.0.id)
            .field("endpoint", &self.0.endpoint)
            .field("local_addr", &self.local_addr())
            .field("remote_addr", &self.remote_addr())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The identity of a connection: 13 digits and letters, unique within the process and, in
/// practice, between restarts. Those of one process are in the order in which their connections were
/// accepted, as numbers and as texts.
///
/// # Example
///
/// ```
/// use kestrel_rs::ConnectionInfo;
///
/// async fn id(connection: ConnectionInfo) -> String {
///     connection.id().to_string() // "0HNG7QK3J4T1C"
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The number that its text spells, in base 32: greater for a connection that was accepted
    /// later in this process.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static START: OnceLock<u64> = OnceLock::new();
        // As Kestrel does: count up from the time of the start, so that two runs do not share ids
        // in one log.
        #[expect(clippy::disallowed_types, reason = "a seed, not a clock")]
        let start = START.get_or_init(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(0, |now| u64::try_from(now.as_nanos() / 100).unwrap_or_default())
        });
        Self(start + NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";
        let text: [u8; 13] = std::array::from_fn(|i| DIGITS[(self.0 >> (60 - 5 * i) & 31) as usize]);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// Something that happens once. Costs nothing until somebody waits for it.
#[derive(Default)]
pub(crate) struct Event {
    fired: AtomicBool,
    token: OnceLock<CancellationToken>,
}

impl Event {
    pub(crate) fn fire(&self) {
        self.fired.store(true, Ordering::SeqCst);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
    }

    pub(crate) fn has_fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }

    pub(crate) async fn wait(&self) {
        let token = self.token.get_or_init(CancellationToken::new);
        // `fire` sets the flag before it looks for the token, so one of the two sees the other.
        if !self.has_fired() {
            token.cancelled().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
