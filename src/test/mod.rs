//! A server in memory, for your tests: no port, exact octets, and time that may stand still.
//!
//! A [`TestServer`] serves an app as [`serve`] does, with every guard on, over
//! connections in memory. In a test with paused time (`#[tokio::test(start_paused = true)]`) a
//! timeout of two minutes passes in a millisecond.
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use kestrel_rs::test::TestServer;
//!
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> std::io::Result<()> {
//!     let app = Router::new().route("/", get(|| async { "Hello, World!" }));
//!     let server = TestServer::new(app);
//!
//!     let response = server.get("/").await?;
//!     assert_eq!(response.status(), 200);
//!     assert_eq!(response.body(), "Hello, World!");
//!
//!     // A client that never finishes its head is answered, and let go.
//!     let mut slow = server.connect().await?;
//!     slow.send("GET / HTTP/1.1\r\nHost: loc").await?;
//!     let answer = slow.read_to_end().await?;
//!     assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
//!     Ok(())
//! }
//! ```

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connection::{ConnectionInfo, ConnectionLayer};
use crate::limits::Limits;
use crate::listener::{BoundEndpoint, Endpoint, KestrelListener};
use crate::protocols::Protocols;
use crate::server::{HttpService, serve};
use crate::transport::{Bound, MemoryConnector, MemoryStream, memory_socket};

/// A server in memory. It stops when it is dropped.
///
/// # Example
///
/// See the [module](self).
#[derive(Debug)]
pub struct TestServer {
    connector: MemoryConnector,
    stop: CancellationToken,
    stopped: tokio::task::JoinHandle<()>,
    _stop_on_drop: DropGuard,
}

/// Options of a [`TestServer`].
///
/// # Example
///
/// ```
/// use axum::Router;
/// use kestrel_rs::{Limits, Protocols};
/// use kestrel_rs::test::TestServer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let server = TestServer::builder(Router::new())
///     .limits(Limits::default().max_request_header_count(10))
///     .protocols(Protocols::HTTP1)
///     .start();
/// # drop(server); }
/// ```
#[derive(Debug)]
pub struct TestServerBuilder<S> {
    app: S,
    limits: Limits,
    protocols: Protocols,
    shutdown_timeout: Option<Duration>,
    default_layers: bool,
    endpoint: Endpoint,
}

impl TestServer {
    /// Serves `app` with the default options. Call it inside a runtime.
    pub fn new<S: HttpService>(app: S) -> Self {
        Self::builder(app).start()
    }

    /// Serves `app` with other options.
    pub fn builder<S: HttpService>(app: S) -> TestServerBuilder<S> {
        TestServerBuilder {
            app,
            limits: Limits::default(),
            protocols: Protocols::default(),
            shutdown_timeout: Some(Duration::from_secs(30)),
            default_layers: true,
            endpoint: Endpoint::any_ip(0),
        }
    }

    /// Opens a connection, to send raw octets on.
    pub async fn connect(&self) -> io::Result<TestConnection> {
        Ok(TestConnection { stream: self.connector.connect().await? })
    }

    /// Sends a GET request for `target` over HTTP/1.1, on a connection of its own.
    pub async fn get(&self, target: &str) -> io::Result<Response<Bytes>> {
        self.request(Request::get(target).body(Body::empty()).map_err(io::Error::other)?).await
    }

    /// Sends a request on a connection of its own: over HTTP/2 if that is its version, else over
    /// HTTP/1.1. A `Host` is added where it is missing.
    pub async fn request(&self, mut request: Request<Body>) -> io::Result<Response<Bytes>> {
        let stream = TokioIo::new(self.connector.connect().await?);
        let response = if request.version() == Version::HTTP_2 {
            if request.uri().authority().is_none() {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = format!("http://localhost{path}").parse().map_err(io::Error::other)?;
            }
            let (mut client, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            client.send_request(request).await.map_err(io::Error::other)?
        } else {
            let host = http::HeaderValue::from_static("localhost");
            request.headers_mut().entry(http::header::HOST).or_insert(host);
            let (mut client, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            client.send_request(request).await.map_err(io::Error::other)?
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    /// Begins the graceful shutdown and goes on; see [`stopped`](Self::stopped).
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until the server has shut down.
    pub async fn stopped(&mut self) {
        let _ = (&mut self.stopped).await;
    }
}

impl<S: HttpService> TestServerBuilder<S> {
    /// The limits; see [`Limits`] for the defaults.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The versions of HTTP; HTTP/1.1 and HTTP/2 by default.
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.protocols = protocols;
        self
    }

    /// Puts a layer around the connection service, inside those added before, as
    /// [`Endpoint::layer`](crate::Endpoint::layer) does.
    pub fn layer(mut self, layer: impl ConnectionLayer) -> Self {
        self.endpoint = self.endpoint.layer(layer);
        self
    }

    /// Speaks TLS, as [`Endpoint::tls`](crate::Endpoint::tls). [`TestServer::connect`] gives the
    /// stream to shake hands on.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: crate::TlsOptions) -> Self {
        self.endpoint = self.endpoint.tls(options);
        self
    }

    /// As [`Serve::with_shutdown_timeout`](crate::Serve::with_shutdown_timeout).
    pub fn with_shutdown_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.shutdown_timeout = timeout.into();
        self
    }

    /// As [`Serve::without_default_layers`](crate::Serve::without_default_layers).
    pub fn without_default_layers(mut self) -> Self {
        self.default_layers = false;
        self
    }

    /// Starts the server. Call it inside a runtime.
    ///
    /// # Panics
    ///
    /// If a limit, or an option of TLS, has a value that it cannot have.
    pub fn start(self) -> TestServer {
        let (connector, listener) = listener(&self.limits, self.endpoint, self.protocols);
        let stop = CancellationToken::new();
        let mut server = serve(self.app)
            .listener(listener)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .with_shutdown_timeout(self.shutdown_timeout);
        if !self.default_layers {
            server = server.without_default_layers();
        }
        let stopped = tokio::spawn(async move {
            let _ = server.await;
        });
        TestServer { connector, _stop_on_drop: stop.clone().drop_guard(), stop, stopped }
    }
}

impl TestServerBuilder<Router> {
    /// Starts `axum::serve` on [`KestrelListener::into_axum`] instead. The time for the shutdown
    /// and the default layers are not part of that. Call it inside a runtime.
    ///
    /// # Panics
    ///
    /// If a limit, or an option of TLS, has a value that it cannot have.
    pub fn start_under_axum(self) -> TestServer {
        let (connector, listener) = listener(&self.limits, self.endpoint, self.protocols);
        let listener = listener.into_axum().unwrap_or_else(|error| panic!("{error}"));
        let stop = CancellationToken::new();
        let app = self.app.into_make_service_with_connect_info::<ConnectionInfo>();
        let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        let stopped = tokio::spawn(async move {
            let _ = server.await;
        });
        TestServer { connector, _stop_on_drop: stop.clone().drop_guard(), stop, stopped }
    }
}

fn listener(limits: &Limits, endpoint: Endpoint, protocols: Protocols) -> (MemoryConnector, KestrelListener) {
    let endpoint = endpoint.protocols(protocols);
    let checked = limits.check().and_then(|()| endpoint.all_layers());
    let layers = checked.unwrap_or_else(|error| panic!("{error}"));
    let (connector, socket) = memory_socket();
    let endpoint = BoundEndpoint {
        bound: Bound::Memory(socket),
        name: "memory".into(),
        limits: Arc::new(limits.clone()),
        protocols,
        layers,
        #[cfg(feature = "tls")]
        followed: endpoint.followed(),
    };
    (connector, KestrelListener::in_memory(endpoint))
}

/// The client's end of a connection to a [`TestServer`]: raw octets.
///
/// It is a stream of tokio (`AsyncRead`, `AsyncWrite`), with short ways for what tests do most. A
/// connection that the server has reset reads as an error of kind `ConnectionReset`.
///
/// # Example
///
/// See the [module](self).
#[derive(Debug)]
pub struct TestConnection {
    stream: MemoryStream,
}

impl TestConnection {
    /// Sends octets.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(octets.as_ref()).await
    }

    /// Ends our side of the connection, as a FIN does.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads until the server ends the connection. Octets that are not UTF-8 are replaced.
    pub async fn read_to_end(&mut self) -> io::Result<String> {
        let mut read = Vec::new();
        self.stream.read_to_end(&mut read).await?;
        Ok(String::from_utf8_lossy(&read).into_owned())
    }

    /// Reads until `end` has come, which is part of what is returned; less only if the server ends
    /// the connection before.
    pub async fn read_until(&mut self, end: impl AsRef<[u8]>) -> io::Result<String> {
        let mut read = Vec::new();
        while !read.ends_with(end.as_ref()) {
            match self.stream.read_u8().await {
                Ok(octet) => read.push(octet),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&read).into_owned())
    }
}

impl AsyncRead for TestConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TestConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
