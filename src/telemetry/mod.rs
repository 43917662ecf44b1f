//! What the server says about itself: one function for each log event.

pub(crate) mod events;
