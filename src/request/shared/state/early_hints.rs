//! Hints of a handler that have not been sent.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use http::HeaderMap;

/// Made when the handler takes an [`EarlyHints`](crate::request::EarlyHints): others pay one look.
#[derive(Default)]
pub(in crate::request) struct EarlyHintsState(OnceLock<Mutex<Hints>>);

#[derive(Default)]
struct Hints {
    waiting: VecDeque<HeaderMap>,
    /// The answer has begun, or there will be none.
    over: bool,
    server: Option<Waker>,
}

impl EarlyHintsState {
    /// The handler may send some from now on.
    pub(in crate::request) fn enter(&self) {
        self.0.get_or_init(Mutex::default);
    }

    /// `false` once the answer has begun.
    pub(in crate::request) fn push(&self, headers: HeaderMap) -> bool {
        let mut hints = lock(self.0.get_or_init(Mutex::default));
        if hints.over {
            return false;
        }
        hints.waiting.push_back(headers);
        let server = hints.server.take();
        drop(hints);
        if let Some(server) = server {
            server.wake();
        }
        true
    }

    pub(in crate::request) fn poll(&self, cx: &Context<'_>) -> Poll<HeaderMap> {
        let Some(hints) = self.0.get() else { return Poll::Pending };
        let mut hints = lock(hints);
        if let Some(headers) = hints.waiting.pop_front() {
            return Poll::Ready(headers);
        }
        match &mut hints.server {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(in crate::request) fn end(&self) {
        if let Some(hints) = self.0.get() {
            *lock(hints) = Hints { over: true, ..Hints::default() };
        }
    }
}

fn lock(hints: &Mutex<Hints>) -> MutexGuard<'_, Hints> {
    hints.lock().unwrap_or_else(PoisonError::into_inner)
}
