//! The listener under `axum::serve`.

use std::io;

use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, Listener};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::accept::Accepting;
use super::axum_stream::AxumStream;
use super::pipeline;
use super::tracker::Tracker;
use crate::connection::ConnectionInfo;
use crate::error::{Error, ErrorKind};
use crate::listener::{BoundAddr, KestrelListener};

impl KestrelListener {
    /// A listener for `axum::serve`, without the guards of HTTP: those are [`serve`](crate::serve)'s.
    ///
    /// It has the endpoints, TLS, the PROXY protocol, the connection layers, and the limit for connections. What is
    /// said of heads, bodies, timeouts and rates in [`Limits`](crate::Limits) counts for nothing here: axum's hyper
    /// reads the requests, with no time for a head, an idle connection or a shutdown. Neither do an endpoint's
    /// [`Protocols`](crate::Protocols), but for what TLS offers by ALPN. The request layers can be added to the app.
    ///
    /// A handler gets the connection as `ConnectInfo<ConnectionInfo>`, with
    /// `app.into_make_service_with_connect_info::<ConnectionInfo>()`. `ConnectInfo<SocketAddr>` is
    /// there under [`serve`](crate::serve) only: axum gives it for its own listeners.
    ///
    /// # Errors
    ///
    /// Outside a runtime of tokio, since accepting begins here.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use axum::{Router, extract::ConnectInfo, routing::get};
    /// use kestrel_rs::{ConnectionInfo, KestrelListener};
    ///
    /// async fn whoami(ConnectInfo(connection): ConnectInfo<ConnectionInfo>) -> String {
    ///     format!("{:?}", connection.remote_addr())
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let app = Router::new().route("/", get(whoami));
    /// let listener = KestrelListener::bind("http://127.0.0.1:8080").await?;
    /// let app = app.into_make_service_with_connect_info::<ConnectionInfo>();
    /// axum::serve(listener.into_axum()?, app).await?;
    /// # Ok(()) }
    /// ```
    pub fn into_axum(self) -> Result<AxumListener, Error> {
        let _inside = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Bind, "into_axum: accepting needs a runtime of tokio; call it inside one")
                .with_source(error)
        })?;
        let Some(local) = self.local_addrs().into_iter().next() else {
            return Err(Error::new(ErrorKind::Bind, "into_axum: the listener has no socket"));
        };
        let mut accepting = Accepting::default();
        let (sender, accepted) = mpsc::channel(1);
        for endpoint in self.into_endpoints() {
            let service = pipeline::handed_over(&endpoint, &sender);
            accepting.start(endpoint, &service, &Tracker::default(), 1);
        }
        Ok(AxumListener { accepted, local, _accepting: accepting })
    }
}

/// A [`KestrelListener`] as `axum::serve` takes it; see [`KestrelListener::into_axum`].
///
/// # Example
///
/// See [`KestrelListener::into_axum`].
#[derive(Debug)]
pub struct AxumListener {
    accepted: mpsc::Receiver<AxumStream>,
    local: BoundAddr,
    _accepting: Accepting,
}

impl Listener for AxumListener {
    type Io = AxumStream;
    type Addr = BoundAddr;

    async fn accept(&mut self) -> (AxumStream, BoundAddr) {
        match self.accepted.recv().await {
            Some(stream) => {
                let remote = stream.info().remote_addr();
                (stream, remote.map_or_else(|| BoundAddr::Unix("".into()), BoundAddr::Tcp))
            }
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<BoundAddr> {
        Ok(self.local.clone())
    }
}

impl Connected<IncomingStream<'_, AxumListener>> for ConnectionInfo {
    fn connect_info(stream: IncomingStream<'_, AxumListener>) -> Self {
        stream.io().info().clone()
    }
}
