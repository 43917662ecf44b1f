//! What the layers of [`request`](super) share: the request's context and the handles on it, and how a layer is made.

#[macro_use]
mod extractor;

pub(in crate::request) mod around;
mod body_error;
mod context;
mod not_available;
mod or_answer;
pub(super) mod path_base;
pub(in crate::request) mod request_limits;
mod scheme;

pub(crate) use around::Stack;
pub use around::{Around, ResponseFuture};
pub use body_error::BodyError;
pub(crate) use context::RequestContext;
pub use context::{NoTls, NotServedByKestrel, RequestAborted, RequestId};
pub use not_available::NotAvailable;
pub use or_answer::OrAnswer;
pub use path_base::PathBase;
pub use request_limits::{LimitError, RequestLimits};
pub(crate) use request_limits::{LimitState, Mark};
pub use scheme::RequestScheme;
