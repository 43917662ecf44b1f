//! Whether blocking reads and writes of a request's bodies are allowed.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What the layers and the extractor share about one request.
#[derive(Default)]
pub(in crate::request) struct SynchronousIoState(AtomicU8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::request) enum SynchronousIoRule {
    /// No layer has said anything.
    None,
    Refused,
    Allowed,
}

impl SynchronousIoState {
    pub(in crate::request) fn set(&self, rule: SynchronousIoRule) {
        self.0.store(rule as u8, Relaxed);
    }

    pub(in crate::request) fn rule(&self) -> SynchronousIoRule {
        use SynchronousIoRule::{Allowed, None, Refused};
        [None, Refused, Allowed][usize::from(self.0.load(Relaxed))]
    }
}
