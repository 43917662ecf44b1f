//! What the server says about itself: one function for each log event.

mod escaped;
pub(crate) mod events;

/// The connection that an event is about. What a connection is comes above this stage, so it says
/// itself how it is named.
pub(crate) trait About {
    fn id(&self) -> &dyn std::fmt::Display;
    fn endpoint(&self) -> &str;
}
