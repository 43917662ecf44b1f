//! What the context of a request keeps for each layer that has something to keep, and for its extractors.

mod early_hints;
mod limits;
mod reset;
mod synchronous_io;
mod trailers;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(in crate::request) use early_hints::EarlyHintsState;
pub(crate) use limits::{LimitState, Mark};
pub(in crate::request) use reset::{ResetSignal, ResetState};
pub(in crate::request) use synchronous_io::{SynchronousIoRule, SynchronousIoState};
pub(in crate::request) use trailers::{
    TrailersPhase, TrailersSoFar, TrailersState, TrailersToSend, TrailersWay,
};

/// Notes that a layer of some kind is around the handler; `true` for the outermost one.
#[inline]
fn is_outermost(seen: &AtomicBool) -> bool {
    let first = !seen.load(Relaxed);
    seen.store(true, Relaxed); // one task does all of it: no swap
    first
}
