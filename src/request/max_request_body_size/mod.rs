//! The largest body that a request may have.
//!
//! Over the limit the handler's read fails, with an error that axum's extractors answer with
//! `413 Content Too Large` by themselves; [`BadRequestLayer`](super::BadRequestLayer) answers for
//! handlers that pass it on. A declared length fails at the first read, any other body when the
//! count passes. The answer says `Connection: close`. A handler that does not read is not
//! disturbed.
//!
//! A layer inside another one gives the outer one its value, for the requests that reach it: so a
//! route raises, lowers or lifts the limit. Alone it enforces by itself. Small frames that are
//! there are handed over as one, so that a body of chunks of one octet does not cost a buffer each.
//!
//! # Defaults
//!
//! [`serve`](crate::serve) has this layer around the app, with
//! [`Limits::max_request_body_size`](crate::Limits::max_request_body_size): 30,000,000 bytes.
//! axum's own `DefaultBodyLimit` (2 MB, for its extractors only) is beside it; lift both where a
//! `Bytes` may be larger.
//!
//! # Example
//!
//! ```
//! use axum::{Router, body::{Body, Bytes}, http::Request, routing::post};
//! use kestrel_rs::request::MaxRequestBodySizeLayer;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! async fn length(body: Bytes) -> String {
//!     body.len().to_string()
//! }
//!
//! let app: Router = Router::new()
//!     .route("/avatar", post(length))
//!     .route("/note", post(length).layer(MaxRequestBodySizeLayer::new(5)))
//!     .layer(MaxRequestBodySizeLayer::new(1024 * 1024));
//!
//! let request = |path| Request::post(path).body(Body::from("Hello, World!")).unwrap();
//! let response = app.clone().oneshot(request("/avatar")).await.unwrap();
//! assert_eq!(response.status(), 200);
//! let response = app.oneshot(request("/note")).await.unwrap();
//! assert_eq!(response.status(), 413);
//! # }
//! ```
//!
//! # Differences from Kestrel
//!
//! The framing of chunks counts, as there, where [`serve`](crate::serve) reads it; under another
//! server only the data does. After the failure the body is at its end; in Kestrel each further
//! read fails again, on which a loop that skips errors would not end.

mod body;
mod layer;

pub use layer::{MaxRequestBodySize, MaxRequestBodySizeLayer};
