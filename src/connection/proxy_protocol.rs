//! The PROXY protocol: who the client is, as a load balancer in front says it.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tower::{Layer, Service};

use super::proxy_header::{ProxyHeader, parse};
use super::trust::Trust;
use super::{BoxIo, Connection, ConnectionService};
use crate::error::Error;
use crate::telemetry::events;
use crate::text::IpNetwork;
use crate::transport::Rewind;

/// Takes the client's address from a PROXY header, versions 1 and 2, of the peers that are trusted
/// to say it.
///
/// From then on [`ConnectionInfo::remote_addr`](super::ConnectionInfo::remote_addr) is the client's
/// address and `local_addr` the one that it connected to. A trusted peer must send the header,
/// first thing and in time: it is cut otherwise. Of any other peer nothing is read, so it can say
/// what it likes and is not believed. Peers on a Unix socket are trusted, whoever they are: the
/// permissions of its file say who may connect. Peers of a transport without IP addresses are not.
///
/// What else the header says is in [`ConnectionInfo::proxy_header`](super::ConnectionInfo::proxy_header);
/// a client that came to the proxy by TLS has the scheme `https`.
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
    trust: Trust,
    timeout: Option<Duration>,
}

impl ProxyProtocolLayer {
    /// Believes peers in these networks, such as `10.0.0.0/8`, or at these addresses. An error if one
    /// is no network, or if there is none: nobody would be believed.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::connection::{IpNetwork, ProxyProtocolLayer};
    ///
    /// let network: IpNetwork = "10.0.0.0/8".parse()?;
    /// let layer = ProxyProtocolLayer::trusting([network])?;
    /// assert!(ProxyProtocolLayer::trusting(Vec::<IpNetwork>::new()).is_err());
    /// # let _ = layer;
    /// # Ok::<(), kestrel_rs::Error>(())
    /// ```
    pub fn trusting<N>(networks: impl IntoIterator<Item = N>) -> Result<Self, Error>
    where
        N: TryInto<IpNetwork, Error: Into<Error>>,
    {
        let networks: Result<_, Error> =
            networks.into_iter().map(|network| network.try_into().map_err(Into::into)).collect();
        let trust = Trust::in_networks(networks?);
        trust.check("ProxyProtocolLayer")?;
        Ok(Self::with(trust))
    }

    /// Believes every peer. Only for a server that nobody but its proxy can reach.
    pub fn trusting_anyone() -> Self {
        Self::with(Trust::Anyone)
    }

    fn with(trust: Trust) -> Self {
        Self { trust, timeout: Some(Duration::from_secs(5)) }
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
        if !self.options.trust.covers(connection.info().peer()) {
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
        Ok((header, rest)) => {
            if header != ProxyHeader::default() {
                info.set_proxy_header(header);
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

/// The header, and what came behind it.
async fn read_header(io: &mut BoxIo) -> io::Result<(ProxyHeader, BytesMut)> {
    let mut read = BytesMut::with_capacity(256);
    loop {
        if let Some((header, length)) = parse(&read)? {
            read.advance(length);
            return Ok((header, read));
        }
        if io.read_buf(&mut read).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}
