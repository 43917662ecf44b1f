//! Whether the stream of a request is to be reset.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use super::is_outermost;

/// What the layer and the extractor share about one request.
#[derive(Default)]
pub(in crate::request) struct ResetState {
    has_layer: AtomicBool,
    /// Set once the handler has taken a [`Reset`](crate::request::Reset).
    pub(in crate::request) signal: OnceLock<Arc<ResetSignal>>,
}

#[derive(Default)]
pub(in crate::request) struct ResetSignal(Mutex<SignalState>);

#[derive(Default)]
struct SignalState {
    code: Option<u32>,
    waker: Option<Waker>,
}

impl ResetState {
    /// Whether this is the outermost layer of its kind around the handler.
    pub(in crate::request) fn enter(&self) -> bool {
        is_outermost(&self.has_layer)
    }

    pub(in crate::request) fn has_layer(&self) -> bool {
        self.has_layer.load(Relaxed)
    }
}

impl ResetSignal {
    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code that the stream is to be reset with, if it is.
    pub(in crate::request) fn code(&self) -> Option<u32> {
        self.lock().code
    }

    /// The stream is to be reset with this code; only the first counts.
    pub(in crate::request) fn fire(&self, code: u32) {
        let mut state = self.lock();
        state.code.get_or_insert(code);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready once the stream is to be reset.
    pub(in crate::request) fn poll(&self, cx: &Context<'_>) -> Poll<u32> {
        let mut state = self.lock();
        if let Some(code) = state.code {
            return Poll::Ready(code);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
