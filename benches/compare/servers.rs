//! The servers that are compared: all of them answer `GET /` with twelve bytes of text.

use std::convert::Infallible;
use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use axum_server::tls_rustls::RustlsConfig;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kestrel_rs::{Certificate, Endpoint, KestrelListener, TlsOptions};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::Result;
use crate::protocol::{HELLO, Protocol};
use crate::tls;

/// A server that takes part. To add one is to add a line to [`SERVERS`].
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) program: Program,
    /// It takes part in the loads of these.
    pub(crate) speaks: &'static [Protocol],
    /// Takes part in this load alone, unless asked for by name.
    pub(crate) only: Option<&'static str>,
}

/// Where a server's process comes from.
pub(crate) enum Program {
    /// This very program, called again.
    Own(fn(Protocol) -> Serving),
    /// Another one, named by an environment variable.
    Named { variable: &'static str },
}

/// A server that runs until its process is ended.
pub(crate) type Serving = Pin<Box<dyn Future<Output = Result<()>>>>;

const CLEAR: &[Protocol] = &[Protocol::Http1, Protocol::Http2];

/// In the order in which they run within a round.
pub(crate) const SERVERS: [Server; 6] = [
    Server {
        name: "kestrel",
        about: "kestrel_rs::serve, every guard on, defaults",
        program: Program::Own(|protocol| Box::pin(serve_kestrel(protocol))),
        speaks: &[Protocol::Http1, Protocol::Http2, Protocol::Https],
        only: None,
    },
    Server {
        name: "axum",
        about: "axum::serve(TcpListener, Router)",
        program: Program::Own(|_| Box::pin(serve_axum())),
        speaks: CLEAR,
        only: None,
    },
    Server {
        name: "axum-nodelay",
        about: "axum::serve, its sockets with TCP_NODELAY",
        program: Program::Own(|_| Box::pin(serve_axum_nodelay())),
        speaks: CLEAR,
        only: Some("pipelined"),
    },
    Server {
        name: "hyper",
        about: "hyper's drivers called directly, TCP_NODELAY, HTTP/1 with pipeline_flush",
        program: Program::Own(|protocol| Box::pin(serve_hyper(protocol))),
        speaks: CLEAR,
        only: None,
    },
    Server {
        name: "axum-server",
        about: "axum-server 0.8 with rustls, its defaults",
        program: Program::Own(|_| Box::pin(serve_axum_server())),
        speaks: &[Protocol::Https],
        only: None,
    },
    Server {
        name: "real",
        about: "Kestrel of ASP.NET Core, the program in KESTREL_APP",
        program: Program::Named { variable: "KESTREL_APP" },
        speaks: CLEAR,
        only: None,
    },
];

/// The life of a child process: one server, on a runtime as `#[tokio::main]` makes it.
pub(crate) fn serve(name: &str, protocol: Protocol) -> Result<()> {
    end_with_parent();
    let serve = SERVERS.iter().find(|server| server.name == name).map(|server| &server.program);
    let Some(Program::Own(serve)) = serve else { return Err(format!("{name} is not a server").into()) };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(protocol))
}

fn router() -> Router {
    Router::new().route("/", get(|| async { HELLO }))
}

async fn bind() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port());
    Ok(listener)
}

/// Tells the parent where to send requests.
fn announce(port: u16) {
    println!("{port}");
}

async fn serve_kestrel(protocol: Protocol) -> Result<()> {
    let mut endpoint = Endpoint::ip(([127, 0, 0, 1], 0));
    if protocol == Protocol::Https {
        let (certificate, key) = tls::certificate()?;
        endpoint = endpoint.tls(TlsOptions::new(Certificate::from_pem(certificate, key)?));
    }
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
    let port = listener.local_addrs()[0].socket_addr().map_or(0, |address| address.port());
    announce(port);
    Ok(kestrel_rs::serve(router()).listener(listener).await?)
}

async fn serve_axum() -> Result<()> {
    Ok(axum::serve(bind().await?, router()).await?)
}

async fn serve_axum_nodelay() -> Result<()> {
    let listener = bind().await?.tap_io(|stream| {
        // A socket without it is slower, nothing worse.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router()).await?)
}

async fn serve_axum_server() -> Result<()> {
    let (certificate, key) = tls::certificate()?;
    let config = RustlsConfig::from_pem(certificate.into(), key.into()).await?;
    let listener = bind().await?.into_std()?;
    Ok(axum_server::from_tcp_rustls(listener, config)?.serve(router().into_make_service()).await?)
}

async fn serve_hyper(protocol: Protocol) -> Result<()> {
    let listener = bind().await?;
    let router = router().with_state(());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        tokio::spawn(async move {
            // A connection that fails is the client's to report.
            let _ = drive(stream, router, protocol).await;
        });
    }
}

async fn drive(stream: TcpStream, router: Router, protocol: Protocol) -> hyper::Result<()> {
    let io = TokioIo::new(stream);
    let service = service_fn(move |request| answer(router.clone(), request));
    match protocol {
        Protocol::Http1 | Protocol::Https => {
            http1::Builder::new().pipeline_flush(true).serve_connection(io, service).await
        }
        Protocol::Http2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
    }
}

async fn answer(router: Router, request: http::Request<Incoming>) -> Result<Response, Infallible> {
    router.oneshot(request.map(Body::new)).await
}

/// Nobody is left behind when the parent is killed: its end of the pipe closes.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}
