//! Keeps time for a body that waits in another's hands.
//!
//! A body is not polled while its client takes nothing, so it cannot end itself. But the task that
//! polls it is ours: the body leaves its deadline with the thread, and [`TimedTask`], around the
//! whole task, picks it up.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Says when the body that this thread is polling must have been asked for more.
pub(super) fn announce(deadline: Option<Instant>) {
    DEADLINE.set(deadline);
}

pin_project_lite::pin_project! {
    /// A task that is given up when a body in it is taken too slowly.
    pub(crate) struct TimedTask<F> {
        #[pin]
        task: F,
        deadline: Option<Instant>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

/// The task was given up.
pub(crate) struct TooSlow;

impl<F> TimedTask<F> {
    pub(crate) fn new(task: F) -> Self {
        Self { task, deadline: None, timer: None }
    }
}

impl<F: Future> Future for TimedTask<F> {
    type Output = Result<F::Output, TooSlow>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        DEADLINE.set(*this.deadline);
        let output = this.task.poll(cx);
        *this.deadline = DEADLINE.take();
        if let Poll::Ready(output) = output {
            return Poll::Ready(Ok(output));
        }
        let Some(deadline) = *this.deadline else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx).map(|()| Err(TooSlow))
    }
}
