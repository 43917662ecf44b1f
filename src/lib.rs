// In these pages the documents beside the README are pages too; the first definition of a link is the one that counts.
#![cfg_attr(doc, doc = "[architecture]: crate::_documentation::architecture")]
#![cfg_attr(doc, doc = "[benches]: crate::_documentation::benches")]
#![cfg_attr(doc, doc = "[contributing]: crate::_documentation::contributing")]
#![cfg_attr(doc, doc = "[strictness]: crate::_documentation::strictness")]
#![cfg_attr(doc, doc = "")]
#![doc = include_str!("../README.md")]
//!
//! # Guide
//!
//! Two endpoints, limits of our own, and a handler that knows its client:
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use kestrel_rs::{ConnectionInfo, Endpoint, KestrelListener, Limits};
//!
//! async fn whoami(connection: ConnectionInfo) -> String {
//!     format!("{:?} on {}", connection.remote_addr(), connection.endpoint())
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), kestrel_rs::Error> {
//!     let listener = KestrelListener::builder()
//!         .limits(Limits::default().keep_alive_timeout(Duration::from_secs(60)))
//!         .endpoint(Endpoint::any_ip(8080))
//!         .endpoint(Endpoint::unix("/run/app.sock").unix_mode(0o660))
//!         .bind()
//!         .await?;
//!     let app = Router::new().route("/", get(whoami));
//!     kestrel_rs::serve(app).listener(listener).await
//! }
//! ```
//!
//! ## The five nouns
//!
//! - [`serve`] takes your app and gives a [`Serve`]: options chain, awaiting it serves.
//! - A [`KestrelListener`] is bound sockets, made of [`Endpoint`]s. An endpoint is an address and what is special
//!   about it. All are bound or none is, and an [`Error`] names the address, the option, or both.
//! - [`Limits`] is every number, with Kestrel's defaults. They belong to the listener, or to one endpoint.
//! - A **connection layer** is a [`tower::Layer`] around a `Service<Connection>`: it sees a connection before HTTP does.
//!   The module [`connection`] has them. The first one added is the outermost.
//! - A **request layer** is a `tower::Layer` around your app, and an **extractor** is how a handler asks: what is known,
//!   and what it wants changed for its own request. The module [`request`] has both. [`Router::layer`](axum::Router::layer)
//!   makes the last one added the outermost; `ServiceBuilder` the first.
//!
//! A request is answered and a connection is logged, at debug. An [`Error`] is what keeps a server from starting, and
//! nothing else.
//!
//! # Cookbook
//!
//! ## Stop gracefully
//!
//! By default at Ctrl-C or SIGTERM, with 30 s for what is in work. Any future can be the signal:
//!
//! ```no_run
//! use std::time::Duration;
//! # use axum::Router;
//! # async fn example(app: Router, stop: tokio::sync::oneshot::Receiver<()>) -> Result<(), kestrel_rs::Error> {
//! kestrel_rs::serve(app)
//!     .with_graceful_shutdown(async { stop.await.unwrap_or_default() })
//!     .with_shutdown_timeout(Duration::from_secs(10))
//!     .await
//! # }
//! ```
//!
//! By the default signals, a second one cuts what is left at once, and a third ends the process. A future of [`serve`]
//! that is dropped or aborted shuts down too, in the background: its addresses are free at once.
//!
//! A stream of events or a WebSocket does not end by itself. It should listen to
//! [`ConnectionInfo::close_requested`]; it is cut when the time is over.
//!
//! ## Listen in several places
//!
//! ```no_run
//! use kestrel_rs::{Endpoint, KestrelListener, Protocols};
//!
//! # async fn example() -> Result<(), kestrel_rs::Error> {
//! let listener = KestrelListener::builder()
//!     .endpoint(Endpoint::parse("http://localhost:5000")?)
//!     .endpoint(Endpoint::any_ip(80))
//!     .endpoint(Endpoint::ip(([10, 0, 0, 1], 8080)).protocols(Protocols::HTTP2))
//!     .bind()
//!     .await?;
//! for address in listener.addresses() {
//!     println!("{address}");
//! }
//! # Ok(()) }
//! ```
//!
//! [`listener::Address`] says which texts are addresses. Port 0 is a port that the system picks.
//!
//! ## Listen on a Unix socket
//!
//! ```
//! use kestrel_rs::Endpoint;
//!
//! let endpoint = Endpoint::unix("/run/app.sock").unix_mode(0o660);
//! assert_eq!(endpoint.address().to_string(), "http://unix:/run/app.sock");
//! ```
//!
//! ## Take the sockets of systemd
//!
//! With a `.socket` unit the service needs no rights to bind, and a restart refuses nobody. Call this before the
//! process has other threads, so before the runtime starts:
//!
//! ```no_run
//! use kestrel_rs::{Endpoint, KestrelListener};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let endpoints = Endpoint::systemd()?; // none, if systemd did not start this process
//!     tokio::runtime::Runtime::new()?.block_on(async {
//!         let builder = endpoints.into_iter().fold(KestrelListener::builder(), |builder, endpoint| builder.endpoint(endpoint));
//!         kestrel_rs::serve(axum::Router::new()).listener(builder.bind().await?).await
//!     })?;
//!     Ok(())
//! }
//! ```
//!
//! ## Speak TLS
//!
//! With the feature `tls`, which is on by default. TLS takes its place among the layers: those added before it see
//! ciphertext, those added after it plaintext.
//!
#![cfg_attr(feature = "tls", doc = "```no_run")]
#![cfg_attr(not(feature = "tls"), doc = "```ignore")]
//! use kestrel_rs::connection::ConnectionLimitLayer;
//! use kestrel_rs::{Certificate, Endpoint, TlsInfo, TlsOptions};
//!
//! let tls = TlsOptions::new(Certificate::from_pem_files("default.pem", "default.key")?)
//!     .server_name("*.example.org", Certificate::from_pem_files("wild.pem", "wild.key")?)
//!     .redirect_http(); // plain HTTP on this port is sent on to https
//! let endpoint = Endpoint::any_ip(443)
//!     .layer(ConnectionLimitLayer::new(5_000)) // no handshake for those it refuses
//!     .tls(tls);
//!
//! async fn handler(tls: TlsInfo) -> String {
//!     format!("{} with {}", tls.version(), tls.cipher_suite())
//! }
//! # Ok::<(), kestrel_rs::Error>(())
//! ```
//!
//! A certificate also comes from one PEM file, DER or PFX. Files are followed: what changes is there for the next
//! connection. On your own machine `Certificate::development()` makes one for `localhost` and keeps it.
//!
//! ## Set limits
//!
//! ```
//! use std::time::Duration;
//! use kestrel_rs::limits::{Http1Parsing, Limits};
//! use kestrel_rs::{Endpoint, MinDataRate};
//!
//! let strict = Limits::default()
//!     .http1_parsing(Http1Parsing::Strict)
//!     .max_request_line_size(2048)
//!     .min_response_data_rate(MinDataRate::new(1000.0, Duration::from_secs(10))?);
//! let endpoint = Endpoint::any_ip(80).limits(strict);
//!
//! // A value that cannot be is found at the latest by `bind`, and named with its line.
//! let error = Limits::default().max_request_header_count(0).check().unwrap_err();
//! assert!(error.to_string().starts_with("max_request_header_count: 0 is not allowed"));
//! # Ok::<(), kestrel_rs::Error>(())
//! ```
//!
//! A route has other limits by a layer, a request by its handler:
//!
//! ```
//! use axum::{Router, body::Body, routing::post};
//! use kestrel_rs::request::{LimitError, MaxRequestBodySizeLayer, RequestLimits};
//!
//! async fn upload(limits: RequestLimits, body: Body) -> Result<String, LimitError> {
//!     limits.set_max_request_body_size(None)?; // before the first read
//!     limits.set_min_request_body_data_rate(None)?;
//!     Ok(format!("{} frames", body.into_data_stream().count().await))
//! }
//! # use futures_util::StreamExt;
//!
//! let app: Router = Router::new()
//!     .route("/upload", post(upload))
//!     .route("/note", post(|note: String| async { note }).layer(MaxRequestBodySizeLayer::new(1000)));
//! ```
//!
//! ## Look at a connection before HTTP does
//!
//! ```
//! use kestrel_rs::connection::{self, Connection, Next};
//! use kestrel_rs::Endpoint;
//!
//! let endpoint = Endpoint::any_ip(8080).layer(connection::from_fn(async |connection: Connection, next: Next| {
//!     match connection.info().remote_addr() {
//!         Some(address) if !address.ip().is_loopback() => Ok(()), // closed, nothing was read
//!         _ => next.run(connection).await,
//!     }
//! }));
//! ```
//!
//! ## Know the client, and that it has gone
//!
//! ```
//! use std::time::Duration;
//! use kestrel_rs::{ConnectionInfo, RequestAborted, RequestId};
//!
//! async fn report(connection: ConnectionInfo, id: RequestId, gone: RequestAborted) -> String {
//!     tokio::select! {
//!         () = gone.aborted() => String::new(), // nobody reads it
//!         () = tokio::time::sleep(Duration::from_secs(5)) => {
//!             format!("request {id} from {:?}", connection.remote_addr())
//!         }
//!     }
//! }
//! # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(report));
//! ```
//!
//! ## End a connection
//!
//! ```
//! use kestrel_rs::ConnectionInfo;
//!
//! async fn goodbye(connection: ConnectionInfo) -> &'static str {
//!     connection.request_close(); // after this answer; on HTTP/2 a GOAWAY
//!     "goodbye"
//! }
//!
//! async fn intruder(connection: ConnectionInfo) {
//!     connection.abort(); // now, by a reset, with no answer
//! }
//! # let _: axum::Router = axum::Router::new()
//! #     .route("/", axum::routing::get(goodbye)).route("/x", axum::routing::get(intruder));
//! ```
//!
//! ## Serve a WebSocket
//!
//! axum's extractor works as it is, over HTTP/1.1 and HTTP/2. An open one is work in hand, so a
//! shutdown waits for it; tell its client, and it ends in time.
//! [`Limits::max_concurrent_upgraded_connections`] bounds their number.
//!
//! ```no_run
#![doc = include_str!("../examples/websocket.rs")]
//! ```
//!
//! The same for server-sent events is `examples/sse.rs`.
//!
//! ## Test with no port and no waiting
//!
//! With the feature `test-util`. The clock stands still, so two minutes pass at once:
//!
#![cfg_attr(feature = "test-util", doc = "```")]
#![cfg_attr(not(feature = "test-util"), doc = "```ignore")]
//! use axum::{Router, routing::get};
//! use kestrel_rs::test::TestServer;
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)] // in a test: `#[tokio::test(start_paused = true)]`
//! async fn main() -> std::io::Result<()> {
//!     let server = TestServer::new(Router::new().route("/", get(|| async { "Hello, World!" })));
//!     assert_eq!(server.get("/").await?.body(), "Hello, World!");
//!
//!     let mut idle = server.connect().await?;
//!     assert_eq!(idle.read_to_end().await?, ""); // closed after 130 s with nothing sent
//!     Ok(())
//! }
//! ```
//!
//! ## Keep `axum::serve`
//!
//! ```no_run
//! # async fn example(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
//! use kestrel_rs::{ConnectionInfo, KestrelListener};
//!
//! let listener = KestrelListener::bind("http://localhost:8080").await?;
//! let app = app.into_make_service_with_connect_info::<ConnectionInfo>();
//! axum::serve(listener.into_axum()?, app).await?;
//! # Ok(()) }
//! ```
//!
//! [`KestrelListener::into_axum`] says what stays and what does not.
//!
//! # Differences from Kestrel
//!
//! Each type that has some says so under this heading. The ones to know first:
//!
//! - A clear-text endpoint speaks HTTP/1.1 and HTTP/2, by the preface.
//! - What Kestrel takes and two readers could frame in two ways is refused; [docs/STRICTNESS.md][strictness] has the rows.
//! - Timeouts act on time, within a second. Kestrel's clock ticks once a second.
//! - An address that makes no sense is an error, not every address on port 80.
//! - A handler that waits is dropped when its client resets the connection; in Kestrel it runs on.
//! - Methods are case-sensitive, and routing is axum's.
//! - The path of a request is normalised before it is routed, on every version of HTTP:
//!   [`Limits::without_path_normalization`] says how, and leaves it as it was sent.
//! - A limit of tower-http or axum (`RequestBodyLimitLayer`, `DefaultBodyLimit`) lowers what a handler takes; only
//!   [`MaxRequestBodySizeLayer`](request::MaxRequestBodySizeLayer), [`RequestLimits`](request::RequestLimits) and
//!   [`Limits::max_request_body_size`] raise what the server takes.
//!
//! # The log
//!
//! Events are those of `tracing`. What a client can cause is at debug, never above, and what others have written (a
//! client, a panic) is a field of an event, with its line ends and control characters escaped. The crate h2 has two
//! events at warn that a client can cause: a PING acknowledged that was never sent, and a thousand faulty streams on one
//! connection. A filter such as `info,h2=error` leaves them out. What Rust's own panic hook writes to standard error
//! is not an event and not escaped: [`std::panic::set_hook`] replaces it.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `tls` | on | `kestrel_rs::tls`: `Endpoint::tls`, `TlsOptions`, `Certificate`, by rustls with aws-lc-rs |
//! | `pfx` | off | `Certificate::from_pfx_file` and `from_pfx` |
//! | `encrypted-keys` | off | `Certificate::from_encrypted_pem_files` |
//! | `dev-certificate` | off | `create_development_certificate`, and `Certificate::development` where there is none yet; one that is there is found without it |
//! | `idn` | off | hosts in Unicode: in lists, in the header `Forwarded` and its like, as names of TLS |
//! | `test-util` | off | `kestrel_rs::test`: a server in memory for your tests |
//!
//! What needs a feature that is off is an error that names it. A feature only adds, but for one thing: names of TLS
//! beyond ASCII are written in Unicode with `idn`, and in punycode without it.

#[cfg(doc)]
pub mod _documentation;

mod error;
mod protocols;

pub mod limits;

mod telemetry;
mod text;

mod transport;

pub mod connection;

#[cfg(feature = "tls")]
pub mod tls;

pub mod request;

mod http;

pub mod listener;

mod server;

#[cfg(feature = "test-util")]
pub mod test;

pub use connection::{ConnectionInfo, TlsInfo};
pub use error::{BoxError, Error};
pub use limits::{Http2Limits, Limits, MinDataRate};
pub use listener::{Endpoint, KestrelListener};
pub use protocols::Protocols;
pub use request::{
    EarlyHints, RequestAborted, RequestId, RequestTrailers, Reset, ResponseTrailers, SynchronousIo,
};
pub use server::{HttpService, Serve, serve};
#[cfg(feature = "tls")]
pub use tls::{Certificate, ClientCertificates, TlsOptions};

#[doc(inline)]
pub use server::{AxumListener, AxumStream};

#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs, reason = "for the fuzz targets alone")]
pub mod fuzzing {
    use crate::http::http1::engine_tests;

    /// Panics where a reader of `text` does not hold what it promises.
    pub fn hold_readers(octets: &[u8]) {
        crate::text::reader_tests::hold(octets);
    }

    /// How the engine and hyper disagree about what a client sends, if they do.
    pub async fn http1_engine(input: &[u8]) -> Result<(), String> {
        engine_tests::engine_agrees_with_hyper(input).await.map(|_| ())
    }

    /// How answers differ when their requests are cut otherwise, if they do.
    pub async fn http1_pieces(input: &[u8]) -> Result<(), String> {
        engine_tests::answers_do_not_depend_on_pieces(input).await
    }

    /// What hyper's client does not read back of answers, if there is something.
    pub async fn http1_answers(input: &[u8]) -> Result<(), String> {
        engine_tests::answers_are_read_back(input).await
    }
}
