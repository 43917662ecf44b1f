//! What stands around your app, and what a handler can ask of its request.

mod body_error;
mod context;
pub(crate) mod date;
mod default_headers;
pub mod forwarded_headers;
mod host;
pub mod host_filtering;
mod hsts;
pub mod https_redirection;
mod lines;
pub mod method_override;
mod or_answer;
mod path_base;
mod scheme;

pub use body_error::BodyError;
    CertificateForwarding, CertificateForwardingLayer, ForwardedClientCertificate,
};
pub(crate) use context::RequestContext;
pub use context::{NotServedByKestrel, RequestAborted, RequestId};
pub use default_headers::{DefaultHeaders, DefaultHeadersLayer};
pub use forwarded_headers::{ForwardedHeaders, ForwardedHeadersLayer, IpNetwork};
pub use host_filtering::{AllowedHosts, HostFilteringLayer};
pub use hsts::{Hsts, HstsLayer};
pub use https_redirection::HttpsRedirectionLayer;
pub use method_override::HttpMethodOverrideLayer;
pub use or_answer::OrAnswer;
pub use path_base::PathBase;
pub use scheme::RequestScheme;
