//! gRPC by tonic on one port with the other routes: `cargo run --example grpc`, then `http://localhost:5000`.
//!
//! A program of yours has its service from `tonic-prost-build`, which makes it of a `.proto` file; this one is made by hand, so
//! that nothing is to be generated. The line that counts is that with `GrpcLayer`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Buf, BufMut};
use futures_util::{Stream, StreamExt};
use kestrel_rs::request::GrpcLayer;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{ClientStreamingService, Grpc, StreamingService};
use tonic::{Status, Streaming};

/// Sends back each message.
struct Talk;

impl StreamingService<Bytes> for Talk {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async { Ok(tonic::Response::new(request.into_inner().boxed())) })
    }
}

/// Says how many octets all messages had.
struct Sum;

impl ClientStreamingService<Bytes> for Sum {
    type Response = Bytes;
    type Future = BoxFuture<tonic::Response<Bytes>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async {
            let (mut messages, mut sum) = (request.into_inner(), 0);
            while let Some(message) = messages.message().await? {
                sum += message.len();
            }
            Ok(tonic::Response::new(sum.to_string().into()))
        })
    }
}

/// What `tonic-prost-build` makes of `service Chat`.
#[derive(Clone)]
pub(crate) struct Chat;

impl Service<Request> for Chat {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Octets);
            Ok(match request.uri().path() {
                "/chat.Chat/Talk" => grpc.streaming(Talk, request).await.map(Body::new),
                "/chat.Chat/Sum" => grpc.client_streaming(Sum, request).await.map(Body::new),
                _ => Status::unimplemented("").into_http::<tonic::body::Body>().into_response(),
            })
        })
    }
}

/// Messages of plain octets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Octets;

impl Codec for Octets {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

pub(crate) fn app() -> Router {
    let grpc = Router::new().route_service("/chat.Chat/{method}", Chat).layer(GrpcLayer::new());
    Router::new().route("/", get(|| async { "Hello, World!" })).merge(grpc)
}

#[tokio::main]
async fn main() -> Result<(), kestrel_rs::Error> {
    kestrel_rs::serve(app()).await
}
