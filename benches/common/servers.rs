//! The servers that are built here: the same Router behind each, in one program, so in one profile.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum_server::tls_rustls::RustlsConfig;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kestrel_rs::{Certificate, Endpoint, KestrelListener, TlsOptions};
use tokio::net::{TcpListener, TcpStream};
use tower::Service as _;

use super::Result;
use super::certificate::certificate;
use super::child::announce;
use super::protocol::{HELLO, LARGE, Protocol};

/// A server that runs until its process is ended.
type Serving = Pin<Box<dyn Future<Output = Result<()>>>>;

/// The life of a child process: the server of this name.
pub(crate) fn serve(name: &str, protocol: Protocol) -> Result<Serving> {
    Ok(match name {
        "kestrel" => Box::pin(serve_kestrel(protocol)),
        "axum" => Box::pin(serve_axum()),
        "axum-nodelay" => Box::pin(serve_axum_nodelay()),
        "hyper" => Box::pin(serve_hyper(protocol)),
        "axum-server" => Box::pin(serve_axum_server()),
        _ => return Err(format!("{name} is not a server of this program").into()),
    })
}

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { HELLO }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/length", post(length))
        .route("/large/1000000", get(|| async { LARGE }))
}

/// Counts what comes, piece by piece.
async fn length(mut body: Body) -> Result<String, String> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        length += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(length.to_string())
}

async fn bind() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port());
    Ok(listener)
}

async fn serve_kestrel(protocol: Protocol) -> Result<()> {
    let mut endpoint = Endpoint::ip(([127, 0, 0, 1], 0));
    if protocol == Protocol::Https {
        let (certificate, key) = certificate()?;
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
    let (certificate, key) = certificate()?;
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
    // A Router is always ready.
    let service =
        service_fn(move |request: http::Request<Incoming>| router.clone().call(request.map(Body::new)));
    match protocol {
        Protocol::Http1 | Protocol::Https => {
            http1::Builder::new().pipeline_flush(true).serve_connection(io, service).await
        }
        Protocol::Http2 => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
    }
}
