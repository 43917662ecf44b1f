//! The slowest that a client may take an answer.
//!
//! Each piece of the answer earns its own time at the rate, at least the grace; time not used is
//! kept for the next, grace is not added twice. A client that is slower is cut: on HTTP/1 its
//! connection is reset, on HTTP/2 the stream is.
//!
//! No more time is kept than 64 KiB may take. A client that has taken some megabytes at once and then
//! stops is cut as soon as one that has taken a page.
//!
//! A layer inside another one gives the outer one its value, for the requests that reach it.
//! [`serve`](crate::serve) enforces the rate where it writes to the connection, with or without
//! layers, and a layer tells it the value.
//!
//! # Defaults
//!
//! [`serve`](crate::serve) has this layer around the app, with
//! [`Limits::min_response_data_rate`](crate::Limits::min_response_data_rate): 240 bytes a second
//! after 5 seconds.
//!
//! # Under another server
//!
//! There the layer sees only when the next piece is asked for: it ends the body with an error, once
//! a client that took a piece too slowly asks for more. A client that never does is not seen; that
//! takes a server that keeps time.
//!
//! # Example
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use kestrel_rs::request::{MinResponseDataRateLayer, RequestLimits};
//! use tower::ServiceExt;
//!
//! // Subscribers may stay for as long as they like, however slow their line is.
//! async fn rate(limits: RequestLimits) -> String {
//!     format!("{:?}", limits.min_response_data_rate())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let app: Router = Router::new()
//!     .route("/events", get(rate).layer(MinResponseDataRateLayer::new(None)))
//!     .layer(MinResponseDataRateLayer::default());
//! let response = app.oneshot(Request::get("/events").body(Body::empty()).unwrap()).await.unwrap();
//! assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "None");
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! On HTTP/2 it is there for the handler at all, is each stream's own, and costs the stream and not
//! the connection. What fits the client's window there counts as taken.

mod body;
mod layer;

pub use layer::{MinResponseDataRate, MinResponseDataRateLayer};
