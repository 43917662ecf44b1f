//! Lets a client that can only POST ask for another method.
//!
//! HTML forms know GET and POST, and some proxies let nothing else pass. [`HttpMethodOverrideLayer`] takes the method of
//! a POST from the header `X-HTTP-Method-Override`, or from a field of the form that it brings.
//!
//! ```
//! use axum::{Router, routing::delete};
//! use http::{Request, StatusCode};
//! use kestrel_rs::request::HttpMethodOverrideLayer;
//! use tower::{Layer, ServiceExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app: Router = Router::new().route("/", delete(|| async { "gone" }));
//! let app = HttpMethodOverrideLayer::new().layer(app); // around the Router: it chooses by the method
//!
//! let request = Request::post("/")
//!     .header("x-http-method-override", "DELETE")
//!     .body(axum::body::Body::empty())
//!     .unwrap();
//! assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::OK);
//! # }
//! ```
//!
//! # Where it stands
//!
//! Around the Router, not in [`Router::layer`](axum::Router::layer), which comes after the route is chosen; and inside
//! everything that lets some methods pass and others not.
//!
//! # Differences from ASP.NET Core
//!
//! - A method that is none (`PUT, DELETE`, `a b`, two fields) is answered 400, and so is `CONNECT`; there the app gets
//!   it.
//! - To the client the request stays a POST: where it became a HEAD, the answer has no body and says no length of one.
//! - The body that was read for the form is handed on whole, for the handler to read again. It may have 1 MiB, else
//!   the answer is 413; a form that cannot be read is answered 400, where the middleware throws.
//! - The charset of the form is not looked at: names and values are taken for ASCII or UTF-8.

mod form;
mod layer;
mod service;

pub use layer::HttpMethodOverrideLayer;
pub use service::{HttpMethodOverride, HttpMethodOverrideFuture};
