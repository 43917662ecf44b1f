//! Grammar that several rooms need: one reader of each, and nothing that knows of connections, requests or layers.

pub(crate) mod date;
pub(crate) mod host;
pub(crate) mod host_name;
mod inet_aton;
pub(crate) mod lines;
pub(crate) mod octets;

pub(crate) use inet_aton::inet_aton;
