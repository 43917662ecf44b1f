//! What `compare` and `instructions` share: the servers, and clients that cost little.

pub(crate) mod arguments;
pub(crate) mod certificate;
pub(crate) mod child;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod parent;
pub(crate) mod protocol;
pub(crate) mod requests;
pub(crate) mod servers;

use std::error::Error;

/// What goes wrong ends the run, with its message.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;
