//! What the layers of [`request`](super) share: the request's context and the handles on it, and how a layer is made.

#[macro_use]
mod extractor;

pub(in crate::request) mod around;
mod body_error;
mod context;
mod early_hints;
mod not_available;
mod or_answer;
pub(super) mod path_base;
mod request_limits;
mod scheme;
pub(in crate::request) mod state;

pub(crate) use around::Stack;
pub use around::{Around, AroundFuture};
pub use body_error::BodyError;
pub(crate) use context::{ForwardedRemote, RequestContext};
pub use context::{NoTls, NotServedByKestrel, RequestAborted, RequestId};
pub use early_hints::EarlyHints;
pub use not_available::NotAvailable;
pub use or_answer::OrAnswer;
pub use path_base::PathBase;
pub use request_limits::{LimitError, RequestLimits};
pub use scheme::RequestScheme;
pub(crate) use state::{LimitState, Mark};
