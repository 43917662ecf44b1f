//! The listener under `axum::serve`.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use ::axum::extract::connect_info::Connected;
use ::axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tower::Service;

use super::accept::Accepting;
use super::pipeline;
use super::tracker::Tracker;
use crate::connection::{BoxIo, Connection, ConnectionInfo};
use crate::error::{BoxError, Error, ErrorKind};
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

/// The stream of a connection that `axum::serve` serves.
///
/// # Example
///
/// See [`KestrelListener::into_axum`].
pub struct AxumStream {
    io: BoxIo,
    info: ConnectionInfo,
    waker: Option<Waker>,
    /// Tells the connection's task that the stream is gone.
    _dropped: oneshot::Sender<()>,
}

impl AxumStream {
    /// What is known of the connection.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// An error once somebody wants the connection to be aborted.
    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut BoxIo>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // Both halves are polled by the one task that drives the connection.
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.info.set_driver(cx.waker());
        }
        if self.info.wants_abort() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        poll(Pin::new(&mut self.io), cx)
    }
}

impl AsyncRead for AxumStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_with(cx, |io, cx| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for AxumStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(cx, |io, cx| io.poll_shutdown(cx))
    }
}

impl fmt::Debug for AxumStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AxumStream").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Gives the stream of a connection to somebody else, and waits until they drop it.
#[derive(Clone, Debug)]
pub(super) struct HandOver(pub(super) mpsc::Sender<AxumStream>);

impl Service<Connection<BoxIo>> for HandOver {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, connection: Connection<BoxIo>) -> Self::Future {
        let to = self.0.clone();
        Box::pin(async move {
            let (io, info) = connection.into_parts();
            let (dropped, gone) = oneshot::channel();
            // Nobody takes it once the other server has stopped.
            let _ = to.send(AxumStream { io, info, waker: None, _dropped: dropped }).await;
            let _ = gone.await;
            Ok(())
        })
    }
}
