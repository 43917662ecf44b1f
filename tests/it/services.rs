//! What can be served: services of all kinds, shared between threads or not.

use std::cell::Cell;
use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use kestrel_rs::BoxError;
use kestrel_rs::connection::{BoxConnectionService, Connection};
use kestrel_rs::test::TestServer;
use tower::steer::Steer;
use tower::util::BoxCloneService;
use tower::{Layer, Service, service_fn};

use crate::support::{GET, app, exchange};

type Boxed = BoxCloneService<Request, Response, Infallible>;

fn says(text: &'static str) -> Boxed {
    let answer = move |_: Request| async move { Ok::<_, Infallible>(Response::new(text.into())) };
    BoxCloneService::new(service_fn(answer))
}

/// A service that cannot be shared between threads, as its counter shows.
#[derive(Clone, Default)]
struct Counting {
    calls: Cell<u32>,
}

impl Service<Request> for Counting {
    type Response = String;
    type Error = Infallible;
    type Future = std::future::Ready<Result<String, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        self.calls.set(self.calls.get() + 1);
        std::future::ready(Ok(self.calls.get().to_string()))
    }
}

/// A connection layer whose service cannot be shared either.
#[derive(Clone)]
struct CountingLayer;

#[derive(Clone)]
struct CountedConnections {
    inner: BoxConnectionService,
    _calls: Cell<u32>,
}

impl Layer<BoxConnectionService> for CountingLayer {
    type Service = CountedConnections;

    fn layer(&self, inner: BoxConnectionService) -> CountedConnections {
        CountedConnections { inner, _calls: Cell::new(0) }
    }
}

impl Service<Connection> for CountedConnections {
    type Response = ();
    type Error = BoxError;
    type Future = <BoxConnectionService as Service<Connection>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> Self::Future {
        self.inner.call(connection)
    }
}

async fn over_http2(server: &TestServer) -> String {
    let request = Request::builder().version(http::Version::HTTP_2).uri("/a").body(Body::empty()).unwrap();
    String::from_utf8(server.request(request).await.unwrap().into_body().into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn steer_is_served_as_it_is() {
    let pick = |request: &Request, _: &[Boxed]| usize::from(request.uri().path() == "/b");
    let server = TestServer::new(Steer::new([says("a"), says("b")], pick));
    for (path, expected) in [("/a", "a"), ("/b", "b")] {
        assert_eq!(server.get(path).await.unwrap().body(), expected);
    }
    assert_eq!(over_http2(&server).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_service_need_not_be_shared() {
    let server = TestServer::new(Counting::default());
    for _ in 0..2 {
        let mut client = server.connect().await.unwrap();
        for number in ["1", "2"] {
            assert_eq!(exchange(&mut client, GET).await.body, number);
        }
    }
    assert_eq!(over_http2(&server).await, "1");
}

#[tokio::test(start_paused = true)]
async fn a_connection_layer_need_not_be_shared() {
    for server in [
        TestServer::builder(app()).layer(CountingLayer).start(),
        TestServer::builder(app()).layer(CountingLayer).start_under_axum(),
    ] {
        assert_eq!(server.get("/").await.unwrap().body(), "hello");
    }
}
