//! The one timer of a connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep};

use super::waker::remember;

/// A timer that is set late and seldom: a deadline that moves away is left alone until the timer
/// fires, early, and is set again.
#[derive(Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes when it fires. Until then there is no need to poll it.
    wakes: Option<Waker>,
}

impl Timer {
    /// Ready once `deadline` has come.
    pub(super) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        if !remember(&mut self.wakes, cx) && !sleep.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            // A `Sleep` that finds the budget of its task spent does not begin to wait.
            ready!(pin!(unconstrained(sleep.as_mut())).poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_may_move_both_ways() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timer = Timer::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(timer.poll(at(10), &mut cx).is_pending());
        assert!(timer.poll(at(20), &mut cx).is_pending());
        poll_fn(|cx| timer.poll(at(20), cx)).await;
        assert_eq!(start.elapsed().as_secs(), 20);
        assert!(timer.poll(at(40), &mut cx).is_pending());
        poll_fn(|cx| timer.poll(at(30), cx)).await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asked_last_is_woken() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut timer = Timer::default();
        assert!(timer.poll(deadline, &mut Context::from_waker(Waker::noop())).is_pending());
        poll_fn(|cx| timer.poll(deadline, cx)).await; // would wait for ever
    }
}
