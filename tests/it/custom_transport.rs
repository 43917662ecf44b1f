//! Any listener of `axum::serve` as an endpoint, with all that an endpoint has.

use std::io;

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use kestrel_rs::connection::{self, Connection, Next};
use kestrel_rs::{ConnectionInfo, Endpoint, KestrelListener, Limits};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::support::{GET, answer, app, closed, secs, soon, took};

/// Who is at the other end of a stream in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Name(&'static str);

/// Streams in memory, from whoever has the other half.
pub(crate) struct Memory(mpsc::Receiver<DuplexStream>);

#[derive(Clone)]
pub(crate) struct Connector(mpsc::Sender<DuplexStream>);

pub(crate) fn memory() -> (Connector, Memory) {
    let (connect, accepted) = mpsc::channel(8);
    (Connector(connect), Memory(accepted))
}

impl Listener for Memory {
    type Io = DuplexStream;
    type Addr = Name;

    async fn accept(&mut self) -> (DuplexStream, Name) {
        match self.0.recv().await {
            Some(stream) => (stream, Name("somebody")),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Name> {
        Ok(Name("here"))
    }
}

impl Connector {
    /// `None` if nobody listens any more.
    pub(crate) async fn connect(&self) -> Option<DuplexStream> {
        let (client, server) = tokio::io::duplex(64 * 1024);
        self.0.send(server).await.ok().map(|()| client)
    }

    pub(crate) async fn get(&self, path: &str) -> DuplexStream {
        let mut client = self.connect().await.unwrap();
        client.write_all(GET.replace("/ ", &format!("{path} ")).as_bytes()).await.unwrap();
        client
    }
}

async fn whoami(connection: ConnectionInfo) -> String {
    let name = connection.get::<Name>().map(|name| name.0);
    format!("{name:?} {:?} {}", connection.remote_addr(), connection.endpoint())
}

#[tokio::test(start_paused = true)]
async fn it_has_limits_layers_what_is_known_and_the_shutdown() {
    let (connector, listener) = memory();
    let (stop, stopped) = oneshot::channel::<()>();
    let (sender, mut seen) = mpsc::channel(8);
    let layer = connection::from_fn(move |connection: Connection, next: Next| {
        sender.try_send(connection.info().get::<Name>().unwrap()).unwrap();
        next.run(connection)
    });
    let limits = Limits::default().max_concurrent_connections(1).request_headers_timeout(secs(7));
    let endpoint = Endpoint::custom("memory:1", listener).limits(limits).layer(layer);
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    assert_eq!(listener.addresses()[0].to_string(), "http://memory:1");
    assert_eq!(listener.local_addrs()[0].to_string(), "http://memory:1");
    let server = kestrel_rs::serve(app().route("/whoami", get(whoami)))
        .listener(listener)
        .with_graceful_shutdown(async { stopped.await.unwrap_or_default() });
    let server = tokio::spawn(server.into_future());

    let mut client = connector.get("/whoami").await;
    assert_eq!(answer(&mut client).await.body, "Some(\"somebody\") None http://memory:1");
    assert_eq!(seen.recv().await.unwrap(), Name("somebody"));
    closed(&mut connector.connect().await.unwrap()).await;
    drop(client);
    sleep(secs(1)).await;

    let mut slow = connector.connect().await.unwrap();
    let start = Instant::now();
    slow.write_all(b"GET / HT").await.unwrap();
    assert_eq!(answer(&mut slow).await.status, 408);
    took(start, 7);
    drop(slow);
    sleep(secs(1)).await;

    let mut running = connector.get("/after/10").await;
    sleep(secs(1)).await;
    stop.send(()).unwrap();
    sleep(secs(1)).await;
    assert!(connector.connect().await.is_none(), "the listener is dropped");
    let answer = answer(&mut running).await;
    assert_eq!((answer.body.as_str(), answer.closes()), ("after", true));
    drop(running);
    soon(server).await.unwrap().unwrap();
}

#[tokio::test]
async fn addresses_that_are_ip_addresses_are_known() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener =
        KestrelListener::builder().endpoint(Endpoint::custom("tcp", listener)).bind().await.unwrap();
    assert_eq!(listener.local_addrs()[0].socket_addr(), Some(address));
    let ask = async |connection: ConnectionInfo| {
        let addresses = (connection.local_addr(), connection.remote_addr());
        format!("{addresses:?} {:?}", connection.get::<std::net::SocketAddr>())
    };
    let app = Router::new().route("/", get(ask));
    let server = tokio::spawn(kestrel_rs::serve(app).listener(listener).into_future());
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(GET.as_bytes()).await.unwrap();
    let own = Some(client.local_addr().unwrap());
    assert_eq!(answer(&mut client).await.body, format!("{:?} {own:?}", (Some(address), own)));
    server.abort();
}

#[tokio::test]
async fn it_is_bound_once_and_named_well() {
    let builder = KestrelListener::builder().endpoint(Endpoint::custom("once", memory().1));
    builder.clone().bind().await.unwrap();
    let error = builder.bind().await.unwrap_err();
    assert!(error.is_bind() && error.to_string().contains("http://once: its listener has been taken"));
    for name in ["", "a b", "a\nb", "ä"] {
        assert!(Endpoint::custom(name, memory().1).check().unwrap_err().is_address(), "{name:?}");
    }
    let options = kestrel_rs::listener::SocketOptions::default();
    assert!(Endpoint::custom("x", memory().1).socket_options(options).check().unwrap_err().is_option());
    assert!(Endpoint::custom("x", memory().1).unix_mode(0o600).check().unwrap_err().is_option());
}
