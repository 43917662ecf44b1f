//! What stands around your app, and what a handler can ask of its request.

pub mod bad_request;
mod body_error;
mod context;
pub(crate) mod date;
mod default_headers;
pub mod max_request_body_size;
pub mod min_request_body_data_rate;
pub mod min_response_data_rate;
mod request_limits;

pub use bad_request::{BadRequest, BadRequestLayer};
pub use body_error::BodyError;
pub(crate) use context::RequestContext;
pub use context::{NotServedByKestrel, RequestAborted, RequestId};
pub use default_headers::{DefaultHeaders, DefaultHeadersLayer};
pub use max_request_body_size::{MaxRequestBodySize, MaxRequestBodySizeLayer};
pub use min_request_body_data_rate::{MinRequestBodyDataRate, MinRequestBodyDataRateLayer};
pub use min_response_data_rate::{MinResponseDataRate, MinResponseDataRateLayer};
pub use request_limits::{LimitError, RequestLimits};
pub(crate) use request_limits::{LimitState, Mark};
