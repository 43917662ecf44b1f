//! The slowest that a request's body may come.
//!
//! The clock runs while a read waits for data, from the first read on; time in which nobody reads
//! is the client's for free. Once it has run for longer than the grace, the whole body so far must
//! have come at the rate, on average. If not, the read fails; [`BodyError`](crate::request::BodyError)
//! among the sources of the error says 408, which is what the client gets if nothing of the answer
//! is on its way, and the connection ends after the answer (HTTP/1) or the stream does (HTTP/2).
//!
//! A layer inside another one gives the outer one its value, for the requests that reach it. Alone
//! it enforces by itself. Upgraded connections have no body, so they are free of it.
//!
//! # Defaults
//!
//! [`serve`](crate::serve) has this layer around the app, with
//! [`Limits::min_request_body_data_rate`](crate::Limits::min_request_body_data_rate): 240 bytes a
//! second after 5 seconds.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use kestrel_rs::MinDataRate;
//! use kestrel_rs::request::{BadRequestLayer, MinRequestBodyDataRateLayer};
//! use tower::ServiceExt;
//! # use std::pin::Pin;
//! # use std::task::{Context, Poll};
//! # use axum::body::{Bytes, HttpBody};
//! # struct Silent;
//! # impl HttpBody for Silent {
//! #     type Data = Bytes;
//! #     type Error = std::convert::Infallible;
//! #     fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>)
//! #         -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> { Poll::Pending }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kestrel_rs::Error> {
//! # tokio::time::pause();
//! let rate = MinDataRate::new(100.0, Duration::from_secs(2))?;
//! let app: Router = Router::new()
//!     .route("/", post(|body: String| async move { body }))
//!     .layer(MinRequestBodyDataRateLayer::new(rate))
//!     .layer(BadRequestLayer::new());
//!
//! // Of this body nothing ever comes.
//! let request = Request::post("/").body(Body::new(Silent)).unwrap();
//! let response = app.oneshot(request).await.unwrap();
//! assert_eq!(response.status(), 408);
//! # Ok(()) }
//! ```
//!
//! # Differences from Kestrel
//!
//! On HTTP/2 the rate is each stream's own, it can be set to any value, and it costs the stream
//! and not the connection. It acts on time, not on a tick of a second. It does not know whether
//! other streams hold the connection's window, which in Kestrel stops the clock.

mod body;
mod layer;

pub use layer::{MinRequestBodyDataRate, MinRequestBodyDataRateLayer};
