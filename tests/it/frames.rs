//! A client that speaks frames of HTTP/2.

use axum::body::Bytes;
use kestrel_rs::test::TestServer;
use tokio::io::{AsyncRead, AsyncWrite};

/// A client that speaks frames of HTTP/2, on a connection of its own.
pub(crate) async fn h2_client(server: &TestServer) -> h2::client::SendRequest<Bytes> {
    h2_client_over(server.connect().await.unwrap()).await
}

/// A client that speaks frames of HTTP/2 over a stream.
pub(crate) async fn h2_client_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> h2::client::SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await; // its end is seen by the requests
    });
    client
}
