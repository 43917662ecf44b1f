//! What a proxy says of the client: address, scheme, host and path.
//!
//! Behind a proxy every request seems to come from the proxy, in clear. [`ForwardedHeadersLayer`] puts the client back
//! into its place, as far as the proxies that said so are trusted.
//!
//! ```
//! use axum::extract::ConnectInfo;
//! use axum::{Router, routing::get};
//! use http::Request;
//! use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer, RequestScheme};
//! use std::net::SocketAddr;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kestrel_rs::Error> {
//! async fn whoami(ConnectInfo(client): ConnectInfo<SocketAddr>, scheme: RequestScheme) -> String {
//!     format!("{client} by {scheme}")
//! }
//!
//! let app: Router = Router::new().route("/", get(whoami)).layer(
//!     ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO)
//!         .known_networks(["10.0.0.0/8".parse()?]),
//! );
//!
//! let mut request = Request::get("/")
//!     .header("x-forwarded-for", "198.51.100.9, 203.0.113.7") // the first one is what the client claims
//!     .header("x-forwarded-proto", "https")
//!     .body(axum::body::Body::empty())
//!     .unwrap();
//! request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 40000)))); // as a server does
//! let response = app.oneshot(request).await.unwrap();
//! let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
//! assert_eq!(body, "203.0.113.7:0 by https");
//! # Ok(()) }
//! ```
//!
//! # How it goes
//!
//! The values are read from the right, the one that the nearest proxy wrote. For each: the address known so far, at
//! first that of the connection, must be one that is trusted, else it stops there; what was found stays. Then the
//! next address, scheme, host and prefix are taken from the values at that place. An address that is none stops it
//! too; a scheme, host or prefix that is none is passed over. Behind an element of `Forwarded` that cannot be read, or
//! that names no client where one is wanted, nobody knows who is speaking: it stops there. What was taken is cut from the headers, and what was
//! there before is kept in `X-Original-For`, `-Proto`, `-Host` and `-Prefix`.
//!
//! Who cannot be checked is not trusted: where no address of the connection is known, nothing is believed. The address
//! is known under [`serve`](crate::serve); under `axum::serve` the program asks for it, with
//! `into_make_service_with_connect_info::<SocketAddr>()`, or `::<ConnectionInfo>()` with
//! [`into_axum`](crate::KestrelListener::into_axum). A peer on a Unix socket of ours is trusted, whoever it is: the
//! permissions of the socket's file say who may connect.
//!
//! What it found is, for all inside of the layer:
//!
//! | what | where |
//! |---|---|
//! | address | `ConnectInfo<SocketAddr>`, [`ConnectionInfo::remote_addr`](crate::ConnectionInfo::remote_addr), also in `ConnectInfo<ConnectionInfo>` |
//! | scheme | [`RequestScheme`](super::RequestScheme), and the scheme of the URI where it has one |
//! | host | the Host header, and the authority of the URI where it has one |
//! | prefix | [`PathBase`](super::PathBase) |
//!
//! # Where it stands
//!
//! Outside everything that asks for one of these: host filtering, redirection to https, HSTS, access logs, limits for
//! each client.
//!
//! # Differences from ASP.NET Core
//!
//! - STRICTNESS `forwarded-nobody`: where no address is known, and where nobody is trusted, nothing is believed; there
//!   everybody is.
//! - There is no default set of headers: the one there, none, is a layer that does nothing.
//! - A host that is no valid internationalized name and a prefix with an encoded NUL are passed over; there they are
//!   exceptions.
//! - [`forwarded`](ForwardedHeadersLayer::forwarded) reads the header of RFC 7239 instead.

mod address;
mod apply;
mod layer;
mod service;
mod values;

pub use layer::{ForwardedHeaders, ForwardedHeadersLayer};
pub use service::ForwardedHeadersService;

pub use crate::text::IpNetwork;
