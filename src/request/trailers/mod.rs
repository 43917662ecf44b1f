//! Fields after a body: [`ResponseTrailers`] and [`RequestTrailers`], by [`TrailersLayer`].
//!
//! Part of the default stack. A handler that takes neither extractor pays nothing.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use http_body_util::BodyExt;
//! use kestrel_rs::request::{RequestTrailers, ResponseTrailers, TrailersError, TrailersLayer};
//! use tower::ServiceExt;
//!
//! async fn echo(
//!     received: RequestTrailers,
//!     answer: ResponseTrailers,
//!     body: String, // the extractor reads the body to its end, so the trailers are there
//! ) -> Result<String, TrailersError> {
//!     for (name, value) in received.get()? {
//!         answer.append(name, value)?;
//!     }
//!     answer.append("x-length", body.len())?;
//!     Ok(body)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app = Router::new().route("/", post(echo)).layer(TrailersLayer::new());
//! let request = Request::post("/").version(axum::http::Version::HTTP_2).body(Body::from("hello")).unwrap();
//! let Ok(response) = app.oneshot(request).await;
//! let body = response.into_body().collect().await.unwrap();
//! assert_eq!(body.trailers().unwrap()["x-length"], "5");
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! - Response trailers go out on HTTP/1.1 too, if the client sent `TE: trailers`. There they must be
//!   named before the head is sent, by [`declare`](ResponseTrailers::declare) or
//!   [`append`](ResponseTrailers::append), and the answer is sent in chunks.
//! - Fields that RFC 9110 (6.5.1) and RFC 9113 (8.2.2) forbid are refused. Kestrel sends them.
//! - Any answer with the status 500 loses its trailers; in Kestrel, one after an exception.
//! - On HTTP/2 request trailers are there once the body was read to its end; in Kestrel, as soon as
//!   they arrive.

mod error;
mod layer;
mod request;
mod response;

pub use error::TrailersError;
pub use layer::{Trailers, TrailersLayer};
pub(crate) use request::BodyWithTrailers;
pub use request::RequestTrailers;
pub use response::ResponseTrailers;

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::extract::Request;
    use axum::handler::Handler;
    use axum::response::Response;
    use axum::routing::any;
    use http::header::{CONTENT_LENGTH, TE, TRAILER};
    use http::{HeaderMap, Method, StatusCode, Version};
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tower::ServiceExt;

    use super::*;

    /// What `handler` answers, with the layer alone around it.
    async fn ask<T: 'static>(handler: impl Handler<T, ()>, request: http::request::Builder) -> Response {
        let app = Router::new().route("/", any(handler)).layer(TrailersLayer::new());
        app.oneshot(request.uri("/").body(Body::empty()).unwrap()).await.unwrap()
    }

    fn http2() -> http::request::Builder {
        Request::builder().version(Version::HTTP_2)
    }

    fn http1() -> http::request::Builder {
        Request::builder().header(TE, "gzip, Trailers")
    }

    /// The trailers of an answer; `None` where there were none.
    async fn trailers(response: Response) -> Option<HeaderMap> {
        response.into_body().collect().await.unwrap().trailers().cloned()
    }

    async fn with_checksum(trailers: ResponseTrailers) -> Result<&'static str, TrailersError> {
        trailers.declare("x-checksum")?;
        trailers.append("x-checksum", "abc")?;
        Ok("hello")
    }

    #[tokio::test]
    async fn trailers_follow_the_body() {
        let response = ask(with_checksum, http2()).await;
        assert_eq!(response.headers()[TRAILER], "x-checksum");
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert_eq!(trailers(response).await.unwrap()["x-checksum"], "abc");
    }

    #[tokio::test]
    async fn over_http1_they_are_named_and_the_length_is_not() {
        let undeclared = async |trailers: ResponseTrailers| {
            trailers.append("x-a", 1).unwrap();
            trailers.append("x-a", 2).unwrap();
            "hello"
        };
        let response = ask(undeclared, http1()).await;
        assert_eq!(response.headers()[TRAILER], "x-a");
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(response.body().size_hint().exact(), None);
        let trailers = trailers(response).await.unwrap();
        assert_eq!(trailers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[tokio::test]
    async fn a_client_that_takes_none_gets_none() {
        let handler = async |trailers: ResponseTrailers| {
            assert!(!trailers.supported());
            assert_eq!(trailers.declare("x-a"), Err(TrailersError::NotSupported));
            assert_eq!(trailers.append("x-a", 1), Err(TrailersError::NotSupported));
            "hello"
        };
        for request in [Request::builder(), http1().version(Version::HTTP_10)] {
            let response = ask(handler, request).await;
            assert_eq!(response.headers()[CONTENT_LENGTH], "5");
            assert_eq!(trailers(response).await, None);
        }
    }

    #[tokio::test]
    async fn answers_that_cannot_have_trailers_lose_them() {
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
            let handler = async move |trailers: ResponseTrailers| {
                with_checksum(trailers).await.unwrap();
                status
            };
            let response = ask(handler, http2()).await;
            assert!(!response.headers().contains_key(TRAILER));
            assert_eq!(trailers(response).await, None);
        }
        assert_eq!(trailers(ask(with_checksum, http2().method(Method::HEAD)).await).await, None);
    }

    #[tokio::test]
    async fn what_comes_too_late_is_an_error() {
        let (kept, mut taken) = tokio::sync::mpsc::channel(1);
        let handler = async move |trailers: ResponseTrailers| {
            trailers.declare("x-a").unwrap();
            kept.try_send(trailers).unwrap();
            Body::new(Channel::<Bytes>::new(1).1)
        };
        let response = ask(handler.clone(), http1()).await;
        let late = taken.recv().await.unwrap();
        assert_eq!(late.declare("x-b"), Err(TrailersError::HeadSent));
        assert_eq!(late.append("x-b", 1), Err(TrailersError::NotDeclared));
        assert_eq!(late.append("x-a", 1), Ok(()));
        assert_eq!(trailers(response).await.unwrap()["x-a"], "1");
        assert_eq!(late.append("x-a", 2), Err(TrailersError::Complete));

        drop(ask(handler, http2()).await); // the client has gone
        let late = taken.recv().await.unwrap();
        assert_eq!(late.append("x-a", 1), Err(TrailersError::Complete));
    }

    #[tokio::test]
    async fn forbidden_and_impossible_fields_are_refused() {
        let handler = async |trailers: ResponseTrailers| {
            for name in ["content-length", "Transfer-Encoding", "connection", "keep-alive", "set-cookie"] {
                assert_eq!(trailers.append(name, "1"), Err(TrailersError::Forbidden));
            }
            assert_eq!(trailers.append("a b", "1"), Err(TrailersError::Invalid));
            assert_eq!(trailers.append("x-a", "\n"), Err(TrailersError::Invalid));
        };
        assert_eq!(ask(handler, http2()).await.status(), 200);
    }

    #[tokio::test]
    async fn trailers_that_the_body_brings_are_kept() {
        let handler = async |trailers: ResponseTrailers| {
            trailers.append("x-a", 1).unwrap();
            let own = HeaderMap::from_iter([("x-b".parse().unwrap(), "2".parse().unwrap())]);
            Body::new(Body::from("hello").with_trailers(async { Some(Ok(own)) }))
        };
        let trailers = trailers(ask(handler, http2()).await).await.unwrap();
        assert_eq!((&trailers["x-a"], &trailers["x-b"]), (&"1".parse().unwrap(), &"2".parse().unwrap()));
    }

    #[tokio::test]
    async fn one_layer_in_another_sends_them_once() {
        let app = Router::new().route("/", any(with_checksum));
        let app = app.layer(TrailersLayer::new()).layer(TrailersLayer::new());
        let response = app.oneshot(http2().uri("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(trailers(response).await.unwrap().get_all("x-checksum").iter().count(), 1);
    }

    #[tokio::test]
    async fn an_unused_handle_leaves_the_answer_as_it_is() {
        let response = ask(async |_: ResponseTrailers| (), http2()).await;
        assert!(response.body().is_end_stream());
    }

    #[tokio::test]
    async fn request_trailers_are_there_after_the_body() {
        let handler = async |trailers: RequestTrailers, body: Body| {
            assert_eq!(trailers.get(), Err(TrailersError::BodyNotRead));
            body.collect().await.unwrap();
            trailers.get().unwrap()["x-t"].to_str().unwrap().to_owned()
        };
        let app = Router::new().route("/", any(handler)).layer(TrailersLayer::new());
        let sent = HeaderMap::from_iter([("x-t".parse().unwrap(), "1".parse().unwrap())]);
        let body = Body::new(Body::from("hello").with_trailers(async { Some(Ok(sent)) }));
        let response = app.oneshot(Request::new(body)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1");
    }

    #[tokio::test]
    async fn without_a_body_request_trailers_are_there_at_once() {
        let handler = async |trailers: RequestTrailers| trailers.get().unwrap().len().to_string();
        let response = ask(handler, http2()).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "0");
    }
}
