//! `std::io::Read` and `Write` on bodies, for libraries that cannot await: [`SynchronousIo`], by
//! [`SynchronousIoLayer`].
//!
//! Refused by default, as each body that is read or written this way takes a thread for as long as
//! its client takes, and tokio's pool of blocking threads has an end (512 by default): few slow
//! clients can use it up. Allow it for the app, for a route, or for a request.
//!
//! ```
//! use axum::{Router, body::Body, http::Request, http::StatusCode, routing::post};
//! use http_body_util::BodyExt;
//! use kestrel_rs::request::{SynchronousIo, SynchronousIoError, SynchronousIoLayer};
//! use tower::ServiceExt;
//!
//! async fn sum(io: SynchronousIo, body: Body) -> Result<String, SynchronousIoError> {
//!     let numbers = io.read(body, |reader| serde_json::from_reader::<_, Vec<u64>>(reader)).await?;
//!     Ok(numbers.map_or_else(|error| error.to_string(), |numbers| numbers.iter().sum::<u64>().to_string()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app = Router::new()
//!     .route("/", post(sum).layer(SynchronousIoLayer::allowed()))
//!     .route("/refused", post(sum))
//!     .layer(SynchronousIoLayer::default());
//!
//! let request = Request::post("/").body(Body::from("[1, 2, 3]")).unwrap();
//! let Ok(response) = app.clone().oneshot(request).await;
//! assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "6");
//!
//! let request = Request::post("/refused").body(Body::from("[1, 2, 3]")).unwrap();
//! let Ok(response) = app.oneshot(request).await;
//! assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
//! # }
//! ```
//!
//! The closures run on threads for blocking work, and the reader and the writer live only inside
//! them, so no worker of the async runtime is ever blocked. Both keep back-pressure: a body is read
//! as it is asked for, and a writer waits for its client.
//!
//! # Differences from Kestrel
//!
//! - Kestrel refuses at the first read or write, this where the reader or writer would be made.
//! - When allowed, Kestrel blocks the thread that the handler runs on.

mod io;
mod layer;

use std::fmt;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use tokio::task::spawn_blocking;

use super::shared::state::SynchronousIoRule;
use super::{NotAvailable, RequestContext};

pub use io::{BodyReader, BodyWriter};
pub use layer::{SetSynchronousIo, SynchronousIoLayer};

/// Reads and writes bodies with blocking calls, where that is allowed; see the [module](self).
///
/// # Example
///
/// An answer that a library writes with blocking calls:
///
/// ```
/// use axum::body::Body;
/// use kestrel_rs::request::{SynchronousIo, SynchronousIoError};
///
/// async fn handler(io: SynchronousIo) -> Result<Body, SynchronousIoError> {
///     io.allow(); // for this request
///     io.write(|writer| Ok(serde_json::to_writer(writer, &vec![7; 1_000_000])?))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// ```
#[derive(Clone)]
pub struct SynchronousIo(RequestContext);

impl SynchronousIo {
    fn find(parts: &mut Parts) -> Result<Self, NotAvailable> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if context.synchronous_io().rule() != SynchronousIoRule::None => {
                Ok(Self(context.clone()))
            }
            _ => Err(NotAvailable::without_layer("SynchronousIoLayer")),
        }
    }

    /// Allows it for this request.
    pub fn allow(&self) {
        self.0.synchronous_io().set(SynchronousIoRule::Allowed);
    }

    /// Refuses it for this request; what has begun goes on.
    pub fn refuse(&self) {
        self.0.synchronous_io().set(SynchronousIoRule::Refused);
    }

    /// Whether it is allowed for this request.
    pub fn is_allowed(&self) -> bool {
        self.0.synchronous_io().rule() == SynchronousIoRule::Allowed
    }

    /// Reads a body in `read`, which runs on a thread for blocking work, and gives what it returns.
    ///
    /// A body that cannot be read to its end makes the reader fail with an `io::Error` that holds
    /// the body's error. When this future is dropped, `read` goes on to its own end: its reader
    /// fails when the client has gone.
    ///
    /// # Panics
    ///
    /// If `read` does.
    pub async fn read<T, F>(&self, body: Body, read: F) -> Result<T, SynchronousIoError>
    where
        F: FnOnce(&mut BodyReader) -> T + Send + 'static,
        T: Send + 'static,
    {
        self.check()?;
        let mut reader = BodyReader::new(body);
        match spawn_blocking(move || read(&mut reader)).await {
            Ok(value) => Ok(value),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(SynchronousIoError::ShuttingDown),
            },
        }
    }

    /// A body that `write` writes, on a thread for blocking work, as the client takes it.
    ///
    /// When `write` fails or panics the answer is cut off; when the client goes, the writer fails
    /// with `BrokenPipe`.
    pub fn write<F>(&self, write: F) -> Result<Body, SynchronousIoError>
    where
        F: FnOnce(&mut BodyWriter) -> std::io::Result<()> + Send + 'static,
    {
        self.check()?;
        Ok(io::body_of(write))
    }

    /// A body that `transform` makes of another one, on a thread for blocking work.
    pub fn transform<F>(&self, body: Body, transform: F) -> Result<Body, SynchronousIoError>
    where
        F: FnOnce(&mut BodyReader, &mut BodyWriter) -> std::io::Result<()> + Send + 'static,
    {
        self.check()?;
        let mut reader = BodyReader::new(body);
        Ok(io::body_of(move |writer| transform(&mut reader, writer)))
    }

    fn check(&self) -> Result<(), SynchronousIoError> {
        if self.is_allowed() { Ok(()) } else { Err(SynchronousIoError::Refused) }
    }
}

extractor!(SynchronousIo, NotAvailable);

impl fmt::Debug for SynchronousIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SynchronousIo").field("allowed", &self.is_allowed()).finish()
    }
}

/// Why a body was not read or written with blocking calls.
///
/// A handler that returns it answers 500 with an empty body.
///
/// # Example
///
/// See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SynchronousIoError {
    /// It is not allowed.
    Refused,
    /// The runtime shuts down.
    ShuttingDown,
}

impl fmt::Display for SynchronousIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => {
                "blocking reads and writes are not allowed: read and write asynchronously, or allow them with `SynchronousIoLayer::allowed` or `SynchronousIo::allow`"
            }
            Self::ShuttingDown => "the runtime shuts down",
        })
    }
}

impl std::error::Error for SynchronousIoError {}

impl IntoResponse for SynchronousIoError {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use axum::Router;
    use axum::handler::Handler;
    use axum::routing::any;
    use http::Request;
    use http_body_util::BodyExt;
    use http_body_util::channel::Channel;
    use tower::ServiceExt;

    use super::*;

    /// What `handler` answers to "hello", inside `layer` alone.
    async fn ask<T: 'static>(handler: impl Handler<T, ()>, layer: SynchronousIoLayer) -> Response {
        let app = Router::new().route("/", any(handler)).layer(layer);
        app.oneshot(Request::new(Body::from("hello"))).await.unwrap()
    }

    async fn length(io: SynchronousIo, body: Body) -> Result<String, SynchronousIoError> {
        io.read(body, |reader| io::copy(reader, &mut io::sink()).unwrap().to_string()).await
    }

    #[tokio::test]
    async fn is_refused_by_default() {
        let response = ask(length, SynchronousIoLayer::default()).await;
        assert_eq!(response.status(), 500);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[tokio::test]
    async fn is_allowed_for_a_route_inside_a_refusal() {
        let app = Router::new()
            .route("/", any(length).layer(SynchronousIoLayer::allowed()))
            .layer(SynchronousIoLayer::refused());
        let response = app.oneshot(Request::new(Body::from("hello"))).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "5");
    }

    #[tokio::test]
    async fn is_allowed_for_a_request() {
        let handler = async |io: SynchronousIo, body: Body| {
            assert_eq!(io.write(|_| Ok(())).unwrap_err(), SynchronousIoError::Refused);
            io.allow();
            length(io, body).await
        };
        assert_eq!(ask(handler, SynchronousIoLayer::refused()).await.status(), 200);
    }

    #[tokio::test]
    async fn a_body_is_transformed_piece_by_piece() {
        let upper = async |io: SynchronousIo, body: Body| {
            io.transform(body, |reader, writer| {
                for octet in reader.bytes() {
                    writer.write_all(&[octet?.to_ascii_uppercase()])?;
                }
                Ok(())
            })
        };
        let response = ask(upper, SynchronousIoLayer::allowed()).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "HELLO");
    }

    #[tokio::test]
    async fn a_body_that_fails_fails_the_reader() {
        let (out, body) = Channel::<bytes::Bytes, io::Error>::new(1);
        let handler = async |io: SynchronousIo, body: Body| {
            io.read(body, |reader| reader.read_to_end(&mut Vec::new()).unwrap_err().to_string()).await
        };
        let app = Router::new().route("/", any(handler)).layer(SynchronousIoLayer::allowed());
        out.abort(io::ErrorKind::ConnectionReset.into());
        let response = app.oneshot(Request::new(Body::new(body))).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "connection reset");
    }

    #[tokio::test]
    async fn a_writer_that_fails_or_panics_does_not_end_its_body_well() {
        let fails = async |io: SynchronousIo| {
            io.write(|writer| {
                writer.write_all(b"hello")?;
                writer.flush()?;
                Err(io::Error::other("boom"))
            })
        };
        let mut body = ask(fails, SynchronousIoLayer::allowed()).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "boom");

        let panics = async |io: SynchronousIo| io.write(|_| panic!("boom"));
        let body = ask(panics, SynchronousIoLayer::allowed()).await.into_body();
        assert!(body.collect().await.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "boom")]
    async fn a_reader_that_panics_panics_in_the_handler() {
        let panics = async |io: SynchronousIo, body: Body| -> Result<(), SynchronousIoError> {
            io.read(body, |_| panic!("boom")).await
        };
        ask(panics, SynchronousIoLayer::allowed()).await;
    }

    #[tokio::test]
    async fn a_writer_waits_for_its_client() {
        let (sizes, mut written) = tokio::sync::mpsc::channel(16);
        let handler = async move |io: SynchronousIo| {
            io.write(move |writer| {
                for _ in 0..8 {
                    writer.write_all(&[0; 16 * 1024])?;
                    sizes.try_send(()).map_err(io::Error::other)?;
                }
                Ok(())
            })
        };
        let response = ask(handler, SynchronousIoLayer::allowed()).await;
        written.recv().await.unwrap();
        written.recv().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(written.try_recv().is_err(), "a third piece went before the first was taken");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 8 * 16 * 1024);
    }

    #[tokio::test]
    async fn a_client_that_goes_fails_the_writer() {
        let (outcome, mut said) = tokio::sync::mpsc::channel(1);
        let handler = async move |io: SynchronousIo| {
            io.write(move |writer| {
                let error = loop {
                    if let Err(error) = writer.write_all(&[0; 16 * 1024]) {
                        break error;
                    }
                };
                outcome.try_send(error.kind()).map_err(io::Error::other)
            })
        };
        drop(ask(handler, SynchronousIoLayer::allowed()).await);
        assert_eq!(said.recv().await, Some(io::ErrorKind::BrokenPipe));
    }
}
