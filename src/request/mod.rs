//! What stands around your app, and what a handler can ask of its request.

#[macro_use]
mod not_available;

mod body_error;
mod catch_panic;
mod context;
pub(crate) mod date;
mod default_headers;
pub mod reset;
pub mod synchronous_io;
pub mod trailers;

pub use body_error::BodyError;
pub use catch_panic::{CatchPanic, CatchPanicLayer};
pub(crate) use context::RequestContext;
pub use context::{NotServedByKestrel, RequestAborted, RequestId};
pub use default_headers::{DefaultHeaders, DefaultHeadersLayer};
pub use not_available::NotAvailable;
pub use reset::{ErrorCode, Reset, ResetLayer, ResetStreams};
pub(crate) use reset::{ResetWith, StreamReset};
pub use synchronous_io::{
    BodyReader, BodyWriter, SetSynchronousIo, SynchronousIo, SynchronousIoError, SynchronousIoLayer,
};
pub(crate) use trailers::Watched;
pub use trailers::{RequestTrailers, ResponseTrailers, Trailers, TrailersError, TrailersLayer};
