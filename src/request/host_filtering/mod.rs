//! Which hosts the server answers for.
//!
//! A client may write any name into its Host header, and an app that builds links, cookies or cache keys of it hands
//! that name on. [`HostFilteringLayer`] answers 400 to every name that is not yours.
//!
//! ```
//! use axum::{Router, routing::get};
//! use http::{Request, StatusCode};
//! use kestrel_rs::request::{AllowedHosts, HostFilteringLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kestrel_rs::Error> {
//! let hosts = AllowedHosts::new(["example.com", "*.example.com"])?;
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "Hello, World!" }))
//!     .layer(HostFilteringLayer::new(hosts.clone()));
//!
//! let status = async |host: &str| {
//!     let request = Request::get("/").header("host", host).body(axum::body::Body::empty()).unwrap();
//!     app.clone().oneshot(request).await.unwrap().status()
//! };
//! assert_eq!(status("www.example.com:8080").await, StatusCode::OK);
//! assert_eq!(status("evil.example").await, StatusCode::BAD_REQUEST);
//!
//! hosts.set(["other.example"])?; // the next request follows
//! assert_eq!(status("other.example").await, StatusCode::OK);
//! # Ok(()) }
//! ```
//!
//! # Patterns
//!
//! | pattern | hosts |
//! |---|---|
//! | `example.com`, `192.0.2.1` | that name, in any case, on any port |
//! | `*.example.com` | every name below it, not `example.com` itself |
//! | `[::1]` | that address, spelled so |
//! | `bücher.example` | its punycode, `xn--bcher-kva.example` |
//! | `*`, `[::]`, `0.0.0.0` | every host |
//!
//! # Where it stands
//!
//! Inside [`ForwardedHeadersLayer`](super::ForwardedHeadersLayer), so that it judges the host that the client wrote,
//! and outside everything that reads the host.
//!
//! # Differences from ASP.NET Core
//!
//! - An empty list, and a pattern that no request can match (`https://a/`, `a:8080`, `a b`, `*.com*`), are errors where
//!   they are given, which say what to write; after such an error a list stays as it was.
//! - A host that Kestrel would refuse (`a/.example.com`, a port that is no number) is in no list and answered 400, under
//!   other servers too.
//! - A request that names a host twice, in its URI and in a Host header, needs both to be allowed.
//! - Only the list can change while the server runs.

mod layer;
mod pattern;
mod service;

pub use layer::HostFilteringLayer;
pub use pattern::AllowedHosts;
pub use service::HostFiltering;
