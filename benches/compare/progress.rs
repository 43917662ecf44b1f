//! What the clients of one measurement have reached.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Result;

/// What the clients of one measurement have reached.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Progress {
    pub(crate) fn add(&self, answered: u64) {
        self.answered.fetch_add(answered, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn fail(&self, error: &dyn std::error::Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
    }

    /// A single client that failed makes the measurement worthless.
    pub(crate) fn check(&self) -> Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}
