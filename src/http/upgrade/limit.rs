//! How many connections may be upgraded at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::connection::ConnectionInfo;

/// Counts the upgraded connections of a server.
#[derive(Debug)]
pub(crate) struct UpgradeLimit(Option<Arc<Semaphore>>);

impl UpgradeLimit {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self(limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)))))
    }

    /// Takes a place for an upgraded connection and gives back the one of an ordinary connection;
    /// false if there is none.
    pub(crate) fn admit(&self, connection: &ConnectionInfo) -> bool {
        let place = match &self.0 {
            None => None,
            Some(free) => match Arc::clone(free).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return false,
            },
        };
        connection.release_slots();
        if let Some(place) = place {
            connection.add_slot(Box::new(place));
        }
        true
    }
}
