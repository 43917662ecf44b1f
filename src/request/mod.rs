//! What stands around your app, and what a handler can ask of its request.

mod body_error;
mod context;
pub(crate) mod date;
mod default_headers;

pub use body_error::BodyError;
pub(crate) use context::RequestContext;
pub use context::{NoTls, NotServedByKestrel, RequestAborted, RequestId};
pub use default_headers::{DefaultHeaders, DefaultHeadersLayer};
