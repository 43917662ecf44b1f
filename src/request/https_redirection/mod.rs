//! Sends clients that came in clear to https.
//!
//! ```
//! use axum::{Router, routing::get};
//! use http::{Request, StatusCode};
//! use kestrel_rs::request::HttpsRedirectionLayer;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kestrel_rs::Error> {
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "Hello, World!" }))
//!     .layer(HttpsRedirectionLayer::new().https_port(5001)?);
//!
//! let request = Request::get("/a?b").header("host", "example.com:5000").body(axum::body::Body::empty()).unwrap();
//! let response = app.oneshot(request).await.unwrap();
//! assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);
//! assert_eq!(response.headers()["location"], "https://example.com:5001/a?b");
//! # Ok(()) }
//! ```
//!
//! # Which port
//!
//! The first of these that is given: [`https_port`](HttpsRedirectionLayer::https_port);
//! [`variables`](HttpsRedirectionLayer::variables); [`addresses`](HttpsRedirectionLayer::addresses). Without any,
//! requests pass as they are, with one warning in the log.
//!
//! # Where it stands
//!
//! Inside [`ForwardedHeadersLayer`](super::ForwardedHeadersLayer), whose scheme and host it takes, and inside
//! [`HostFilteringLayer`](super::HostFilteringLayer): it sends clients to whatever host they named.
//!
//! # Differences from ASP.NET Core
//!
//! - A port that is none, a status that does not redirect, and addresses with different ports for https are errors
//!   where they are given. There is no port that means "do not redirect": leave the layer out.
//! - The addresses of the server are not found by themselves; give them to the layer.
//! - A request that names no host, or what Kestrel refuses as one, is answered 400: there is nowhere to send it.

mod layer;
mod service;

pub use layer::HttpsRedirectionLayer;
pub use service::HttpsRedirection;
