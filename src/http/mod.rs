//! The innermost connection service: turns a connection into requests.

mod http1;
