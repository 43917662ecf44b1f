//! How fast an answer is to be taken: what a client has taken at once buys it no hours.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use kestrel_rs::connection::{self, BoxIo, Connection, Next};
use kestrel_rs::test::{TestServer, TestServerBuilder};
use kestrel_rs::{ConnectionInfo, Limits, MinDataRate};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::support::{GET, secs, soon, took};

const LARGE: usize = 40_000_000;

/// What the client takes at once before it stops.
const TAKEN: usize = 5_000_000;

/// 64 KiB have less than a second at this rate, all that the client takes has 50.
fn server(app: Router) -> TestServerBuilder<Router> {
    let rate = MinDataRate::new(100_000.0, secs(2)).unwrap();
    TestServer::builder(app).limits(Limits::default().min_response_data_rate(rate))
}

fn body(pieces: usize) -> axum::body::Body {
    let piece = Bytes::from(vec![b'x'; LARGE / pieces]);
    axum::body::Body::from_stream(futures_util::stream::iter(
        (0..pieces).map(move |_| Ok::<_, io::Error>(piece.clone())),
    ))
}

/// A stream that takes some octets at once, and then no more.
struct Full {
    inner: BoxIo,
    room: usize,
}

impl AsyncRead for Full {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Full {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let taken = buf.len().min(self.room);
        self.room -= taken;
        if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(taken)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http1_that_stops_after_some_megabytes_is_cut() {
    for pieces in [1, 40, 4000] {
        let (sender, mut ended) = mpsc::channel(1);
        let answer = async move |connection: ConnectionInfo| {
            tokio::spawn(async move {
                connection.closed().await;
                let _ = sender.send(Instant::now()).await;
            });
            body(pieces)
        };
        let full = connection::from_fn(async |connection: Connection, next: Next| {
            next.run(connection.map_io(|inner| BoxIo::new(Full { inner, room: TAKEN }))).await
        });
        let server = server(Router::new().route("/", get(answer))).layer(full).start();
        let mut client = server.connect().await.unwrap();
        let start = Instant::now();
        client.send(GET).await.unwrap();
        soon(ended.recv()).await.unwrap();
        took(start, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_that_stops_after_some_megabytes_is_cut() {
    for pieces in [1, 40, 4000] {
        let server = server(Router::new().route("/", get(async move || body(pieces)))).start();
        let (mut client, mut answer) = http2_client(&server).await;
        let start = Instant::now();
        let mut taken = 0;
        let error = loop {
            match soon(answer.data()).await.unwrap() {
                Ok(data) => taken += data.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
        assert_eq!(taken, TAKEN);
        took(start, 2);
        let request = http::Request::get("http://a/none").body(()).unwrap();
        let response = client.send_request(request, true).unwrap().0.await.unwrap();
        assert_eq!(response.status(), 404, "the connection lives");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http2_that_takes_an_answer_in_time_is_never_cut() {
    let server = server(Router::new().route("/", get(async || body(1)))).start();
    let (_client, mut answer) = http2_client(&server).await;
    let mut taken = 0;
    while let Some(data) = soon(answer.data()).await {
        let data = data.unwrap();
        taken += data.len();
        answer.flow_control().release_capacity(data.len()).unwrap();
        let octets = u32::try_from(data.len()).unwrap();
        sleep(secs(1).mul_f64(f64::from(octets) / 110_000.0)).await;
    }
    assert_eq!(taken, LARGE);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_has_nothing_to_say_costs_its_client_no_time() {
    let events = async || {
        let pieces = futures_util::stream::unfold(0, async |piece| {
            sleep(secs(60)).await;
            (piece < 20).then(|| (Ok::<_, io::Error>(Bytes::from(vec![b'x'; TAKEN])), piece + 1))
        });
        axum::body::Body::from_stream(pieces)
    };
    let server = server(Router::new().route("/", get(events))).start();
    let (_client, mut answer) = http2_client(&server).await;
    let mut taken = 0;
    while let Some(data) = soon(answer.data()).await {
        let data = data.unwrap();
        taken += data.len();
        answer.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(taken, 20 * TAKEN);
}

/// A client whose windows have room for what it takes, and the body of its answer.
async fn http2_client(server: &TestServer) -> (h2::client::SendRequest<Bytes>, h2::RecvStream) {
    let window = u32::try_from(TAKEN).unwrap();
    let (mut client, connection) = h2::client::Builder::new()
        .initial_window_size(window)
        .initial_connection_window_size(2 * window)
        .handshake::<_, Bytes>(server.connect().await.unwrap())
        .await
        .unwrap();
    tokio::spawn(async move {
        let _ = connection.await; // its end is seen by the requests
    });
    let request = http::Request::get("http://a/").body(()).unwrap();
    let response = client.send_request(request, true).unwrap().0.await.unwrap();
    (client, response.into_body())
}
