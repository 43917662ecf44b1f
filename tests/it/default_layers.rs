//! The default layers are those of the documentation, one inside the other in its order.

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::routing::{any, post};
use http_body_util::BodyExt;
use kestrel_rs::HttpService;
use kestrel_rs::request::{
    BadRequestLayer, CatchPanicLayer, DefaultHeadersLayer, MaxRequestBodySizeLayer,
    MinRequestBodyDataRateLayer, MinResponseDataRateLayer, RequestLimits, RequestTrailers, ResetLayer,
    ResponseTrailers, SynchronousIo, SynchronousIoLayer, TrailersLayer,
};
use kestrel_rs::test::TestServer;
use tower::ServiceBuilder;

fn app() -> Router {
    async fn read(body: Body) -> usize {
        body.collect().await.unwrap().to_bytes().len()
    }
    let panics_with_trailers = async |trailers: ResponseTrailers| {
        assert!(trailers.append("x-checksum", "1").is_err(), "with trailers to send");
    };
    let trailers = async |received: RequestTrailers, trailers: ResponseTrailers, body: Body| {
        let octets = read(body).await;
        trailers.append("x-octets", octets).unwrap();
        format!("{:?}", received.get())
    };
    let blocks = async |io: SynchronousIo, body: Body| {
        let read = io.read(body, |reader| std::io::read_to_string(reader).is_ok()).await;
        format!("{read:?}")
    };
    Router::new()
        .route("/", any(async || "hello"))
        .route("/named", any(async || ([("server", "mine")], "hello")))
        .route("/read", post(async |body: Body| read(body).await.to_string()))
        .route("/panic", any(async |uri: Uri| assert!(uri.path().is_empty(), "always")))
        .route("/panic-with-trailers", any(panics_with_trailers))
        .route("/trailers", post(trailers))
        .route("/limits", any(async |limits: RequestLimits| format!("{limits:?}")))
        .route("/blocking", any(blocks))
        .route("/status", any(async || StatusCode::NO_CONTENT))
}

/// In what `kestrel_rs::request` lists.
fn app_in_documented_layers() -> impl HttpService {
    ServiceBuilder::new()
        .layer(DefaultHeadersLayer::new())
        .layer(ResetLayer::new())
        .layer(BadRequestLayer::new())
        .layer(TrailersLayer::new())
        .layer(MinResponseDataRateLayer::default())
        .layer(MinRequestBodyDataRateLayer::default())
        .layer(MaxRequestBodySizeLayer::new(30_000_000))
        .layer(SynchronousIoLayer::default())
        .layer(CatchPanicLayer::new())
        .service(app())
}

/// The answer, without the time.
async fn say(server: &TestServer, request: &str) -> String {
    let mut connection = server.connect().await.unwrap();
    connection.send(request).await.unwrap();
    let answer = connection.read_to_end().await.unwrap();
    answer.split_inclusive("\r\n").filter(|line| !line.starts_with("date: ")).collect()
}

fn request(head: &str, body: &str) -> String {
    format!("{head}\r\nHost: a\r\nConnection: close\r\n{body}")
}

#[tokio::test(start_paused = true)]
async fn they_do_what_the_documented_ones_do() {
    let default = TestServer::new(app());
    let documented = TestServer::builder(app_in_documented_layers()).without_default_layers().start();
    for (head, body) in [
        ("GET / HTTP/1.1", "\r\n"),
        ("HEAD / HTTP/1.1", "\r\n"),
        ("GET / HTTP/1.0", "\r\n"),
        ("GET /named HTTP/1.1", "\r\n"),
        ("GET /panic HTTP/1.1", "\r\n"),
        ("GET /panic-with-trailers HTTP/1.1", "TE: trailers\r\n\r\n"),
        ("GET /limits HTTP/1.1", "\r\n"),
        ("GET /blocking HTTP/1.1", "\r\n"),
        ("GET /status HTTP/1.1", "\r\n"),
        ("POST /read HTTP/1.1", "Content-Length: 5\r\n\r\nhello"),
        ("POST /read HTTP/1.1", "Content-Length: 30000001\r\n\r\nhello"),
        ("POST /read HTTP/1.1", "Content-Length: 5\r\n\r\nhell"),
        ("POST /read HTTP/1.1", "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        (
            "POST /trailers HTTP/1.1",
            "TE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: 1\r\n\r\n",
        ),
        ("POST /trailers HTTP/1.1", "TE: trailers\r\n\r\n"),
    ] {
        let request = request(head, body);
        let answer = say(&default, &request).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{request}\n{answer}");
        assert_eq!(answer, say(&documented, &request).await, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_shows() {
    let server = TestServer::new(app());
    // DefaultHeaders and BadRequest are around CatchPanic: the body that failed is what the client hears of.
    let answer = say(&server, &request("POST /read HTTP/1.1", "Content-Length: 30000001\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\r\nserver: kestrel-rs\r\n"), "{answer}");
    // A panic for another reason is a 500, without the trailers of the answer that there is not.
    let answer = say(&server, &request("GET /panic-with-trailers HTTP/1.1", "TE: trailers\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("\r\nserver: kestrel-rs\r\n"), "{answer}");
    assert!(answer.contains("\r\ncontent-length: 0\r\n") && !answer.contains("x-checksum"), "{answer}");
}
