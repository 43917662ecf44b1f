//! The server: `serve`, its options, and the shutdown.

mod accept;
mod axum;
mod pipeline;
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
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use self::axum::{AxumListener, AxumStream};
use crate::error::Error;
use crate::http::upgrade::UpgradeLimit;
use crate::listener::KestrelListener;
use crate::telemetry::events;
use tracker::Tracker;

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
/// `app` is any `Router` with its state given, or any `Service<Request<Body>>` that does not fail.
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

/// What [`serve`] can serve: a `Service<Request<Body>>` that does not fail, can be cloned for each
/// request, and whose response is anything that axum can make a response of.
///
/// Implemented for every such service, `axum::Router` among them; there is nothing to implement.
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
    note = "a `Router` that still needs its state gets it by `.with_state(..)`",
    note = "another service must be `Service<Request<Body>, Error = Infallible>`, `Clone`, `Send`, `Sync` and `'static`, with a `Send` future and a response that implements `IntoResponse`"
)]
pub trait HttpService:
    Service<
        Request<Body>,
        Response: IntoResponse + Send + 'static,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
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
        + Sync
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
    pub fn listener(mut self, listener: KestrelListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Begins the shutdown when `signal` is ready, instead of at Ctrl-C or SIGTERM.
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
        let signal = match self.signal {
            Some(signal) => signal,
            None => Box::pin(interrupted()),
        };
        run(listener, self.app, self.default_layers, signal, self.shutdown_timeout).await;
        Ok(())
    }
}

async fn run(
    listener: KestrelListener,
    app: impl HttpService,
    default_layers: bool,
    signal: Signal,
    timeout: Option<Duration>,
) {
    let tracker = Tracker::default();
    let stop = CancellationToken::new();
    let accepting = tokio_util::task::TaskTracker::new();
    for address in listener.addresses() {
        events::now_listening(&address);
    }
    let endpoints = listener.into_endpoints();
    // One count for the server, by the most that any of its endpoints allows.
    let upgrades = endpoints.iter().map(|endpoint| endpoint.limits.max_concurrent_upgraded_connections);
    let upgrades =
        Arc::new(UpgradeLimit::new(upgrades.max_by_key(|limit| limit.unwrap_or(usize::MAX)).flatten()));
    for endpoint in endpoints {
        let app = pipeline::requests(app.clone(), &endpoint.limits, default_layers);
        let service = pipeline::connections(&endpoint, &app, &upgrades);
        accept::follow_certificates(&endpoint, &stop);
        let endpoint = Arc::new(endpoint);
        for _ in 0..accept::tasks() {
            accepting.spawn(accept::accept(endpoint.clone(), service.clone(), tracker.clone(), stop.clone()));
        }
    }
    signal.await;

    events::shutting_down(tracker.len());
    stop.cancel();
    accepting.close();
    accepting.wait().await; // the sockets are closed, nothing new comes
    tracker.close_all();
    let Some(timeout) = timeout else { return tracker.empty().await };
    if tokio::time::timeout(timeout, tracker.empty()).await.is_err() {
        events::connections_cut(tracker.len());
        tracker.abort_all();
        // Cut connections end as soon as their tasks run; a task that blocks is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), tracker.empty()).await;
    }
}

/// Ready at Ctrl-C or SIGTERM.
async fn interrupted() {
    let interrupt = async {
        // Where the system gives no handler the program ends as programs do.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! { () = interrupt => {}, _ = terminate.recv() => {} },
            Err(_) => interrupt.await,
        }
    }
    #[cfg(not(unix))]
    interrupt.await;
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
