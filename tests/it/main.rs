//! Tests over real sockets, through the public API.

mod listener;
