//! Calls of gRPC by tonic, both sides: silent for hours, large without end, refused in gRPC's own words.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, middleware};
use futures_util::{Stream, StreamExt, stream};
use http::{Request, Response, StatusCode};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kestrel_rs::Limits;
use kestrel_rs::request::{GrpcLayer, MaxRequestBodySizeLayer};
use kestrel_rs::test::TestServer;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::codegen::BoxFuture;
use tonic::{Code, Status};

use crate::support::{HOUR, soon, took};

#[path = "../../examples/grpc.rs"]
#[expect(dead_code, reason = "a program, of which its parts are served")]
mod example;
use example::{Chat, Octets};

/// A connection of hyper's as tonic's client takes it.
struct Channel(SendRequest<tonic::body::Body>);

impl tower::Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<Self::Response, hyper::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let path = request.uri().path();
        *request.uri_mut() = format!("http://localhost{path}").parse().unwrap();
        Box::pin(self.0.send_request(request))
    }
}

async fn client(server: &TestServer) -> tonic::client::Grpc<Channel> {
    let stream = TokioIo::new(server.connect().await.unwrap());
    let (client, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = tonic::client::Grpc::new(Channel(client));
    client.ready().await.unwrap();
    client
}

type Messages = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// One call of `/chat.Chat/Talk`, of which one message is awaited.
async fn talk(client: &mut tonic::client::Grpc<Channel>, messages: Messages) -> Result<Bytes, Status> {
    let path = "/chat.Chat/Talk".parse().unwrap();
    let answer = client.streaming(tonic::Request::new(messages), path, Octets).await?;
    answer.into_inner().message().await?.ok_or_else(|| Status::ok("no message"))
}

async fn sum(client: &mut tonic::client::Grpc<Channel>, messages: Messages) -> Result<Bytes, Status> {
    let path = "/chat.Chat/Sum".parse().unwrap();
    let answer = client.client_streaming(tonic::Request::new(messages), path, Octets).await?;
    Ok(answer.into_inner())
}

#[tokio::test(start_paused = true)]
async fn a_duplex_call_may_be_silent_for_hours() {
    let server = TestServer::new(example::app());
    let mut client = client(&server).await;
    let (sender, receiver) = mpsc::channel(1);
    let messages = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Bytes>| {
        receiver.recv().await.map(|message| (message, receiver))
    });
    let path = "/chat.Chat/Talk".parse().unwrap();
    let call = client.streaming(tonic::Request::new(Box::pin(messages)), path, Octets);
    let mut answers: tonic::Streaming<Bytes> = call.await.unwrap().into_inner();
    for message in ["one", "two", "three"] {
        sender.send(message.into()).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap(), message);
        sleep(HOUR).await;
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_may_stream_more_than_a_body_may_hold() {
    let server = TestServer::new(example::app());
    let mut client = client(&server).await;
    let message = Bytes::from(vec![b'x'; 1_000_000]);
    let large = stream::repeat(message).take(40);
    assert_eq!(soon(sum(&mut client, Box::pin(large))).await.unwrap(), "40000000");
}

#[tokio::test(start_paused = true)]
async fn a_client_may_take_an_answer_as_slowly_as_it_likes() {
    let server = TestServer::new(example::app());
    let mut client = client(&server).await;
    let message = Bytes::from(vec![b'x'; 500_000]);
    let path = "/chat.Chat/Talk".parse().unwrap();
    let call = client.streaming(tonic::Request::new(stream::repeat(message).take(10)), path, Octets);
    let mut answers: tonic::Streaming<Bytes> = call.await.unwrap().into_inner();
    let mut octets = 0;
    loop {
        sleep(HOUR).await;
        let Some(message) = answers.message().await.unwrap() else { break };
        octets += message.len();
    }
    assert_eq!(octets, 5_000_000);
}

#[tokio::test(start_paused = true)]
async fn without_the_layer_the_limits_stand_whatever_a_client_says() {
    let app = Router::new().route_service("/chat.Chat/{method}", Chat);
    let server = TestServer::new(app);
    let mut client = client(&server).await;
    let large = stream::repeat(Bytes::from(vec![b'x'; 1_000_000])).take(40);
    soon(sum(&mut client, Box::pin(large))).await.unwrap_err();
    let start = Instant::now();
    soon(talk(&mut client, Box::pin(stream::pending()))).await.unwrap_err();
    took(start, 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_call_keeps_its_limits() {
    let length = async |body: Bytes| body.len().to_string();
    let app = Router::new().route("/", post(length)).layer(GrpcLayer::new());
    let server = TestServer::builder(app).limits(Limits::default().max_request_body_size(10)).start();
    for (version, kind, expected) in [
        (http::Version::HTTP_2, "application/grpc", 200),
        (http::Version::HTTP_2, "application/grpc-web", 413),
        (http::Version::HTTP_2, "text/plain", 413),
        (http::Version::HTTP_11, "application/grpc", 413),
    ] {
        let request = Request::post("/").version(version).header("content-type", kind);
        let response = server.request(request.body(Body::from("more than ten")).unwrap()).await.unwrap();
        assert_eq!(response.status(), expected, "{version:?} {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_status_of_grpc() {
    let refuse = middleware::from_fn(async |request: Request<Body>, next: middleware::Next| {
        match request.headers().get("x-refuse") {
            Some(status) => StatusCode::from_bytes(status.as_bytes()).unwrap().into_response(),
            None => next.run(request).await,
        }
    });
    let panics = post(async || -> &'static str { panic!("oh") });
    let grpc = Router::new()
        .route_service("/chat.Chat/{method}", Chat)
        .route("/chat.Chat/Panics", panics)
        .layer(refuse)
        .layer(GrpcLayer::new());
    let server = TestServer::new(grpc);
    let mut client = client(&server).await;
    for (status, code) in [
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("413", Code::ResourceExhausted),
        ("503", Code::Unavailable),
    ] {
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(stream::iter([Bytes::new()]));
        request.metadata_mut().insert("x-refuse", status.parse().unwrap());
        let path = "/chat.Chat/Talk".parse().unwrap();
        let refused: Result<tonic::Response<tonic::Streaming<Bytes>>, _> =
            client.streaming(request, path, Octets).await;
        let refused = refused.err().unwrap();
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().starts_with(&format!("HTTP status {status}")), "{refused}");
    }
    client.ready().await.unwrap();
    let path = "/chat.Chat/Panics".parse().unwrap();
    let one = tonic::Request::new(stream::iter([Bytes::new()]));
    let panicked: Result<tonic::Response<Bytes>, _> = client.client_streaming(one, path, Octets).await;
    assert_eq!(panicked.unwrap_err().message(), "HTTP status 500 Internal Server Error");
}

#[tokio::test(start_paused = true)]
async fn a_limit_inside_the_layer_stands() {
    let app = Router::new()
        .route_service("/chat.Chat/{method}", Chat)
        .layer(MaxRequestBodySizeLayer::new(1000))
        .layer(GrpcLayer::new());
    let server = TestServer::new(app);
    let mut client = client(&server).await;
    let small = stream::iter([Bytes::from_static(b"small")]);
    assert_eq!(sum(&mut client, Box::pin(small)).await.unwrap(), "5");
    client.ready().await.unwrap();
    let large = stream::iter([Bytes::from(vec![b'x'; 2000])]);
    let refused = soon(sum(&mut client, Box::pin(large))).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}
