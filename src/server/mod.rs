//! The server: `serve`, its options, and the shutdown.

mod accept;
mod axum;
mod axum_stream;
mod pipeline;
mod running;
mod signals;
mod tracker;

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::axum::body::Body;
use ::axum::response::IntoResponse;
use http::Request;
use tower::Service;

pub use self::axum::AxumListener;
pub use self::axum_stream::AxumStream;
use crate::error::Error;
use crate::http::upgrade::UpgradeLimit;
use crate::limits::Limits;
use crate::listener::{IntoListener, KestrelListener};
use crate::telemetry::events;
use running::Running;
use signals::Further;

/// Serves `app`: on `http://localhost:5000` unless given a [listener](Serve::listener), until
/// Ctrl-C or SIGTERM unless given another [signal](Serve::with_graceful_shutdown).
///
/// Without a listener it also serves `https://localhost:5001`, if this user has a development
/// certificate; `kestrel_rs::tls::create_development_certificate` makes one. One that cannot be
/// used is an event at warn, and only http is served.
///
/// Awaiting the result binds, says where it listens (as an event of `tracing` at info; on standard
/// error in a program without a subscriber) and serves. It returns when the server has shut down,
/// or with an error if it could not start.
///
/// Of the default signals a second one cuts at once what is still in work, and a third ends the
/// process, with the exit code 130 or 143, should a handler that blocks hold it up. They are the
/// server's from the first poll on: a program that goes on after it has to listen for Ctrl-C itself.
///
/// # Dropping it
///
/// A future that is dropped while it serves (`JoinHandle::abort`, the loser of a `select!`, a
/// timeout, a `JoinSet`) shuts the server down: its addresses are free when the drop returns, idle
/// connections end, and what is in work has the [time for the shutdown](Serve::with_shutdown_timeout)
/// in the background, as long as the runtime lives. Dropped inside a shutdown, it goes on with the
/// time that was left. Await a [shutdown](Serve::with_graceful_shutdown) where the program ends
/// after it.
///
/// An inherited socket stays open for those who hold it too, and a
/// [custom listener](crate::Endpoint::custom) is dropped by the next turn of the runtime.
///
/// `app` is any `Router` with its state given, or any `Service<Request<Body>>` that does not fail.
/// It needs no `into_make_service_with_connect_info`: `ConnectInfo<SocketAddr>` works as it is,
/// wherever the client has an IP address. On a Unix socket it has none, so what serves both asks for
/// [`ConnectionInfo`](crate::ConnectionInfo).
///
/// # Example
///
/// ```no_run
/// use axum::{Router, routing::get};
///
/// #[tokio::main]
/// async fn main() -> Result<(), kestrel_rs::Error> {
///     let app = Router::new().route("/", get(|| async { "Hello, World!" }));
///     kestrel_rs::serve(app).await
/// }
/// ```
///
/// Handlers of axum know their client as before:
///
/// ```
/// use std::net::SocketAddr;
/// use axum::{Router, extract::ConnectInfo, routing::get};
///
/// async fn whoami(ConnectInfo(client): ConnectInfo<SocketAddr>) -> String {
///     client.to_string()
/// }
/// let server = kestrel_rs::serve(Router::new().route("/", get(whoami)));
/// # drop(server);
/// ```
///
/// In a task that is ended from outside:
///
/// ```
/// use axum::Router;
/// use kestrel_rs::KestrelListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), kestrel_rs::Error> {
/// let listener = KestrelListener::bind("http://127.0.0.1:0").await?;
/// let address = listener.addresses()[0].to_string();
/// let server = tokio::spawn(kestrel_rs::serve(Router::new()).listener(listener).into_future());
///
/// server.abort();
/// assert!(server.await.is_err());
/// assert!(KestrelListener::bind(&address).await.is_ok(), "the port is free");
/// # Ok(()) }
/// ```
///
/// A router whose state is missing does not compile:
///
/// ```compile_fail
/// # use axum::{Router, extract::State, routing::get};
/// let app = Router::new().route("/", get(|State(name): State<String>| async { name }));
/// kestrel_rs::serve(app);
/// ```
pub fn serve<S: HttpService>(app: S) -> Serve<S> {
    Serve {
        app,
        listener: None,
        signal: None,
        shutdown_timeout: Some(Duration::from_secs(30)),
        default_layers: true,
    }
}

/// What [`serve`] can serve: a `Service<Request<Body>>` that does not fail, can be cloned, and whose
/// response is anything that axum can make a response of.
///
/// Implemented for every such service, `axum::Router` among them; there is nothing to implement.
/// It need not be `Sync` (`tower::steer::Steer` and `BoxCloneService` are not): each connection has
/// a clone of its own, each request over HTTP/2 another.
///
/// # Example
///
/// ```no_run
/// use axum::{body::Body, http::Request};
/// use tower::service_fn;
///
/// # async fn example() -> Result<(), kestrel_rs::Error> {
/// let app = service_fn(|request: Request<Body>| async move {
///     Ok::<_, std::convert::Infallible>(request.uri().path().to_owned())
/// });
/// kestrel_rs::serve(app).await
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served",
    label = "neither a `Router` with its state given nor a service for requests that never fails",
    note = "a `Router` is served as it is, without `.into_make_service()`: `ConnectInfo<SocketAddr>` works without it",
    note = "a `Router` that still needs its state gets it by `.with_state(..)`",
    note = "a listener is given apart from the app: `serve(app).listener(listener)`",
    note = "another service must be `Service<Request<Body>, Error = Infallible>`, `Clone`, `Send` and `'static`, with a `Send` future and a response that implements `IntoResponse`"
)]
pub trait HttpService:
    Service<
        Request<Body>,
        Response: IntoResponse + Send + 'static,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

#[diagnostic::do_not_recommend]
impl<S> HttpService for S where
    S: Service<
            Request<Body>,
            Response: IntoResponse + Send + 'static,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// A server about to start; made by [`serve`], started by awaiting it.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`listener`](Self::listener) | `http://localhost:5000` with the default [`Limits`](crate::Limits), and `https://localhost:5001` if this user has a development certificate |
/// | [`with_graceful_shutdown`](Self::with_graceful_shutdown) | Ctrl-C and SIGTERM |
/// | [`with_shutdown_timeout`](Self::with_shutdown_timeout) | 30 s |
/// | default layers | on; [`without_default_layers`](Self::without_default_layers) |
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use kestrel_rs::KestrelListener;
///
/// # async fn example() -> Result<(), kestrel_rs::Error> {
/// let app = Router::new().route("/", get(|| async { "Hello, World!" }));
/// let listener = KestrelListener::bind("http://127.0.0.1:8080").await?;
/// kestrel_rs::serve(app)
///     .listener(listener)
///     .with_graceful_shutdown(async { tokio::time::sleep(Duration::from_secs(3600)).await })
///     .with_shutdown_timeout(Duration::from_secs(10))
///     .await
/// # }
/// ```
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<S> {
    app: S,
    listener: Option<KestrelListener>,
    signal: Option<Signal>,
    shutdown_timeout: Option<Duration>,
    default_layers: bool,
}

type Signal = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<S: HttpService> Serve<S> {
    /// Serves on these endpoints instead of those of `localhost`.
    pub fn listener(mut self, listener: impl IntoListener) -> Self {
        self.listener = Some(listener.into_listener());
        self
    }

    /// Begins the shutdown when `signal` is ready, instead of at Ctrl-C or SIGTERM, which are the
    /// program's then.
    ///
    /// The server stops accepting, closes idle connections at once, lets answers in work be
    /// finished, which say `Connection: close` where their head is not on its way yet, and cuts
    /// what is left when the [time](Self::with_shutdown_timeout) is over.
    pub fn with_graceful_shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Some(Box::pin(signal));
        self
    }

    /// How long a shutdown waits for what is in work; default 30 s; `None` is for ever. What is
    /// cut is reported as an event at warn, with the number of connections.
    pub fn with_shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.shutdown_timeout = timeout.into();
        self
    }

    /// Leaves out the request layers that are [on by default](crate::request#the-default-layers), for
    /// those who compose their own. The connection's guards stay.
    pub fn without_default_layers(mut self) -> Self {
        self.default_layers = false;
        self
    }

    async fn run(self) -> Result<(), Error> {
        let listener = match self.listener {
            Some(listener) => listener,
            None => KestrelListener::builder().bind().await?,
        };
        run(listener, self.app, self.default_layers, self.signal, self.shutdown_timeout).await;
        Ok(())
    }
}

async fn run(
    listener: KestrelListener,
    app: impl HttpService,
    default_layers: bool,
    signal: Option<Signal>,
    timeout: Option<Duration>,
) {
    // Heard from before anybody knows that the server is there.
    let first = signal.is_none().then(signals::first);
    let addresses = listener.addresses();
    for address in &addresses {
        events::now_listening(address);
    }
    let mut server = Running::new(timeout, addresses.len());
    let endpoints = listener.into_endpoints();
    // Endpoints that share their limits share the count.
    let mut counts: Vec<(Arc<Limits>, Arc<UpgradeLimit>)> = Vec::new();
    for endpoint in endpoints {
        let known = counts.iter().find(|(limits, _)| Arc::ptr_eq(limits, &endpoint.limits));
        let upgrades = if let Some((_, upgrades)) = known {
            Arc::clone(upgrades)
        } else {
            let limit = endpoint.limits.max_concurrent_upgraded_connections;
            let upgrades = Arc::new(UpgradeLimit::new(limit));
            counts.push((Arc::clone(&endpoint.limits), Arc::clone(&upgrades)));
            upgrades
        };
        let app = pipeline::requests(app.clone(), &endpoint.limits, default_layers);
        let service = pipeline::connections(&endpoint, &app, &upgrades);
        server.accepting.start(endpoint, &service, &server.tracker, accept::tasks());
    }
    drop(app);
    if let Some(signal) = signal {
        signal.await;
    }
    let Some(first) = first else { return server.shut_down(Box::pin(std::future::pending())).await };
    first.await;
    let Further { second, served } = Further::listen(server.tracker.clone()).await;
    server.shut_down(second).await;
    drop(served);
}

impl<S: HttpService> IntoFuture for Serve<S> {
    type Output = Result<(), Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<S> fmt::Debug for Serve<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("shutdown_timeout", &self.shutdown_timeout)
            .field("default_layers", &self.default_layers)
            .finish_non_exhaustive()
    }
}
