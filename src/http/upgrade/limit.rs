//! How many connections may be upgraded at a time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connection::ConnectionInfo;

/// Counts the upgraded connections, and the tunnels of HTTP/2, of the endpoints that share their limits.
#[derive(Debug)]
pub(crate) struct UpgradeLimit(Option<Arc<Semaphore>>);

impl UpgradeLimit {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self(limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))))
    }

    /// Takes a place for an upgraded connection and gives back the one of an ordinary connection;
    /// false if there is none.
    pub(crate) fn admit(&self, connection: &ConnectionInfo) -> bool {
        let Some(place) = self.place() else { return false };
        connection.release_slots();
        connection.add_slot(Box::new(place));
        true
    }

    /// A place for something upgraded, until it is dropped; `None` if there is none left.
    pub(crate) fn place(&self) -> Option<Place> {
        match &self.0 {
            None => Some(Place(None)),
            Some(free) => Arc::clone(free).try_acquire_owned().ok().map(|place| Place(Some(place))),
        }
    }
}

/// What one upgraded connection or stream takes up.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held")] Option<OwnedSemaphorePermit>);
