//! Blocking reads and writes of bodies, on the wire.

use std::io::{self, Read, Write};

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::{Request, StatusCode, Version};
use kestrel_rs::SynchronousIo;
use kestrel_rs::request::{BodyReader, SynchronousIoError, SynchronousIoLayer};
use kestrel_rs::test::TestServer;

fn app() -> Router {
    Router::new()
        .route("/sync", post(length))
        .route("/sync-allowed", post(allowed))
        .route("/route", post(length).layer(SynchronousIoLayer::allowed()))
        .route("/write", get(write))
}

async fn length(io: SynchronousIo, body: Body) -> Result<String, SynchronousIoError> {
    let count = |reader: &mut BodyReader| io::copy(reader, &mut io::sink());
    Ok(io.read(body, count).await?.map_or_else(|error| error.to_string(), |read| read.to_string()))
}

async fn allowed(io: SynchronousIo, body: Body) -> Result<String, SynchronousIoError> {
    io.allow();
    length(io, body).await
}

async fn write(io: SynchronousIo) -> Result<Body, SynchronousIoError> {
    io.allow();
    io.write(|writer| io::copy(&mut io::repeat(b'x').take(10_000_000), writer).and_then(|_| writer.flush()))
}

/// As recorded: `response.sync-refused`, `response.sync-allowed`.
#[tokio::test]
async fn is_refused_unless_it_is_allowed() {
    let server = TestServer::new(app());
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let ask = async |path: &str| {
            let request = Request::post(path).version(version).body(Body::from("hello")).unwrap();
            server.request(request).await.unwrap()
        };
        let refused = ask("/sync").await;
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(refused.headers()["content-length"], "0");
        assert_eq!(ask("/sync-allowed").await.body(), "5");
        assert_eq!(ask("/route").await.body(), "5");
    }
}

#[tokio::test]
async fn a_large_answer_is_written() {
    let server = TestServer::new(app());
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let request = Request::get("/write").version(version).body(Body::empty()).unwrap();
        assert_eq!(server.request(request).await.unwrap().body().len(), 10_000_000);
    }
}

#[tokio::test]
async fn a_client_that_goes_inside_its_body_fails_the_reader() {
    let (outcome, mut said) = tokio::sync::mpsc::channel(1);
    let handler = async move |io: SynchronousIo, body: Body| {
        io.allow();
        io.read(body, move |reader| outcome.try_send(reader.read_to_end(&mut Vec::new())).unwrap()).await
    };
    let server = TestServer::new(Router::new().route("/", post(handler)));
    let mut connection = server.connect().await.unwrap();
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello").await.unwrap();
    drop(connection);
    assert!(said.recv().await.unwrap().is_err());
}
