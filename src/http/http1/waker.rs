//! Who is to be woken.

use std::task::{Context, Waker};

/// Keeps the task's waker in `slot`; `true` if another one, or none, was there.
pub(super) fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) -> bool {
    if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        return false;
    }
    *slot = Some(cx.waker().clone());
    true
}
