//! Streams that a handler resets, on the wire.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::routing::{get, post};
use http::{Request, StatusCode};
use http_body_util::channel::Channel;
use kestrel_rs::Reset;
use kestrel_rs::request::{ErrorCode, ResetLayer};
use kestrel_rs::test::TestServer;

use crate::frames::{h2_client, h2_client_over};

fn app() -> Router {
    Router::new()
        .route("/", get(async || "Hello World!"))
        .route("/reset/{code}", get(reset_at_once))
        .route("/reset-and-panic/{code}", get(reset_and_panic))
        .route("/reset-later/{code}", post(reset_later))
        .route("/reset-after/{code}", get(reset_after))
}

async fn reset_at_once(Path(code): Path<u32>, reset: Option<Reset>) -> &'static str {
    match reset {
        Some(reset) => {
            reset.stream(code);
            "not sent"
        }
        None => "no reset",
    }
}

async fn reset_and_panic(Path(code): Path<u32>, reset: Reset) {
    reset.stream(code);
    panic!("boom");
}

/// Another task resets it while the handler waits.
async fn reset_later(Path(code): Path<u32>, reset: Reset) -> StatusCode {
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        reset.stream(code);
    });
    std::future::pending().await
}

async fn reset_after(Path(code): Path<u32>, reset: Reset) -> Body {
    let (mut out, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        out.send_data("done".into()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        reset.stream(code);
        std::future::pending::<()>().await;
        drop(out);
    });
    Body::new(body)
}

type Client = h2::client::SendRequest<Bytes>;

/// The code that the stream is reset with before it has an answer.
async fn code_of(client: &mut Client, request: Request<()>) -> Option<u32> {
    let (response, _stream) = client.send_request(request, true).unwrap();
    let error = response.await.unwrap_err();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    error.reason().map(u32::from)
}

async fn is_alive(client: &mut Client) {
    let (response, _) = client.send_request(to("/"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "Hello World!");
}

fn to(path: &str) -> Request<()> {
    Request::get(format!("http://localhost{path}")).body(()).unwrap()
}

/// As recorded: `response.reset-cancel`.
#[tokio::test]
async fn a_stream_is_reset_in_place_of_its_answer() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    assert_eq!(code_of(&mut client, to("/reset/8")).await, Some(ErrorCode::CANCEL.into()));
    assert_eq!(code_of(&mut client, to("/reset/4711")).await, Some(4711));
    is_alive(&mut client).await;
}

#[tokio::test]
async fn a_stream_is_reset_while_its_handler_waits() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    let request = Request::post("http://localhost/reset-later/11").body(()).unwrap();
    assert_eq!(code_of(&mut client, request).await, Some(11));
    is_alive(&mut client).await;
}

#[tokio::test]
async fn a_stream_is_reset_though_its_handler_panics() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    assert_eq!(code_of(&mut client, to("/reset-and-panic/8")).await, Some(8));
    is_alive(&mut client).await;
}

#[tokio::test]
async fn a_stream_is_reset_inside_its_body() {
    let server = TestServer::new(app());
    let mut client = h2_client(&server).await;
    let (response, _) = client.send_request(to("/reset-after/7"), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "done");
    let error = body.data().await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::REFUSED_STREAM));
    is_alive(&mut client).await;
}

#[tokio::test]
async fn http1_has_no_stream_to_reset() {
    let server = TestServer::new(app());
    assert_eq!(server.get("/reset/8").await.unwrap().body(), "no reset");
    assert_eq!(server.get("/reset-after/8").await.unwrap().status(), 500);
}

#[tokio::test]
async fn works_alone_under_plain_axum() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = axum::serve(listener, app().layer(ResetLayer::new()));
    tokio::spawn(served.into_future());
    let mut client = h2_client_over(tokio::net::TcpStream::connect(address).await.unwrap()).await;
    let (response, _) = client.send_request(to("/reset/8"), true).unwrap();
    let error = match response.await {
        Err(error) => error,
        Ok(response) => response.into_body().data().await.unwrap().unwrap_err(),
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    is_alive(&mut client).await;
}
