//! TLS on a transport that is not ours.

use std::sync::Arc;

use kestrel_rs::{Endpoint, KestrelListener};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::{Authority, app};
use crate::custom_transport::memory;
use crate::support::soon;

#[tokio::test(start_paused = true)]
async fn tls_works_on_a_custom_listener() {
    let authority = Authority::new();
    let (connector, listener) = memory();
    let endpoint = Endpoint::custom("memory", listener).tls(authority.options());
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    assert_eq!(listener.addresses()[0].to_string(), "https://memory");
    let server = tokio::spawn(kestrel_rs::serve(app()).listener(listener).into_future());

    let config = authority.client().config();
    let stream = connector.connect().await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = soon(TlsConnector::from(Arc::clone(&config)).connect(name, stream)).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    server.abort();
}
