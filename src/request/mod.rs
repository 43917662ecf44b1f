//! What stands around your app, and what a handler can ask of its request.
//!
//! Each layer here also works alone, under `axum::serve` or any other server.
//!
//! # The default layers
//!
//! [`serve`](crate::serve) puts these around every app, the outermost first. A layer of the same kind further inside,
//! of a route for instance, sets the value of the one outside.
//!
//! | layer | does |
//! |---|---|
//! | [`DefaultHeadersLayer`] | adds `Server` to every answer of those inside |
//! | [`ResetLayer`] | [`Reset`], which stands whatever is answered after it |
//! | [`BadRequestLayer`] | answers for handlers that did not, or panicked, when their body failed: 400, 408, 413, 431 |
//! | [`TrailersLayer`] | [`ResponseTrailers`] behind the answer, [`RequestTrailers`] |
//! | [`MinResponseDataRateLayer`] | how fast the client takes the answer |
//! | [`MinRequestBodyDataRateLayer`] | how fast the body comes |
//! | [`MaxRequestBodySizeLayer`] | counts the body that came in time |
//! | [`SynchronousIoLayer`] | refuses blocking reads and writes |
//! | [`CatchPanicLayer`] | a panic of the handler is a 500 |
//!
//! [`without_default_layers`](crate::Serve::without_default_layers) leaves them out; a `tower::ServiceBuilder` with
//! those that are wanted, in this order, puts them back.
//!
//! # Layers to add
//!
//! The routes of a gRPC service get [`GrpcLayer`].
//!
//! Where several are, this is their order, the outermost first:
//!
//! ```
//! use axum::{Router, routing::get};
//! use kestrel_rs::request::{
//!     AllowedHosts, ForwardedHeaders, ForwardedHeadersLayer, HostFilteringLayer, HstsLayer, HttpsRedirectionLayer,
//! };
//! use tower::ServiceBuilder;
//!
//! # fn main() -> Result<(), kestrel_rs::Error> {
//! let app: Router = Router::new().route("/", get(|| async { "Hello, World!" })).layer(
//!     ServiceBuilder::new()
//!         .layer(ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO))
//!         .layer(HostFilteringLayer::new(AllowedHosts::new(["example.com"])?))
//!         .layer(HstsLayer::new())
//!         .layer(HttpsRedirectionLayer::new().https_port(443)?),
//! );
//! # let _ = app; Ok(()) }
//! ```

#[macro_use]
mod shared;

pub mod bad_request;
mod catch_panic;
mod certificate_forwarding;
mod default_headers;
pub mod forwarded_headers;
mod grpc;
pub mod host_filtering;
mod hsts;
pub mod https_redirection;
pub mod max_request_body_size;
pub mod method_override;
pub mod min_request_body_data_rate;
pub mod min_response_data_rate;
pub mod reset;
pub mod synchronous_io;
pub mod trailers;

pub use bad_request::{BadRequest, BadRequestLayer};
pub(crate) use catch_panic::panic_message;
pub use catch_panic::{CatchPanic, CatchPanicLayer};
pub use certificate_forwarding::{
    CertificateForwarding, CertificateForwardingLayer, ForwardedClientCertificate,
};
pub use default_headers::{DefaultHeaders, DefaultHeadersLayer};
pub use forwarded_headers::{ForwardedHeaders, ForwardedHeadersLayer, IpNetwork};
pub use grpc::{Grpc, GrpcLayer};
pub use host_filtering::{AllowedHosts, HostFilteringLayer};
pub use hsts::{Hsts, HstsLayer};
pub use https_redirection::HttpsRedirectionLayer;
pub use max_request_body_size::{MaxRequestBodySize, MaxRequestBodySizeLayer};
pub use method_override::HttpMethodOverrideLayer;
pub use min_request_body_data_rate::{MinRequestBodyDataRate, MinRequestBodyDataRateLayer};
pub use min_response_data_rate::{MinResponseDataRate, MinResponseDataRateLayer};
pub(crate) use reset::ResetWith;
pub use reset::{ErrorCode, Reset, ResetLayer, ResetStreams};
pub use shared::{
    Around, AroundFuture, BodyError, EarlyHints, LimitError, NoTls, NotAvailable, NotServedByKestrel,
    OrAnswer, PathBase, RequestAborted, RequestId, RequestLimits, RequestScheme,
};
pub(crate) use shared::{LimitState, Mark, RequestContext, Stack};
pub use synchronous_io::{
    BodyReader, BodyWriter, SetSynchronousIo, SynchronousIo, SynchronousIoError, SynchronousIoLayer,
};
pub(crate) use trailers::BodyWithTrailers;
pub use trailers::{RequestTrailers, ResponseTrailers, Trailers, TrailersError, TrailersLayer};
