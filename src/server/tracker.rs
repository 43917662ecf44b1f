//! The live connections of a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::connection::{ConnectionId, ConnectionInfo};

/// Knows each live connection, so that a shutdown can tell them, wait for them, and cut them.
#[derive(Clone, Default)]
pub(crate) struct Tracker(Arc<TrackerState>);

#[derive(Default)]
struct TrackerState {
    state: Mutex<LiveConnections>,
    empty: Notify,
}

#[derive(Default)]
struct LiveConnections {
    live: HashMap<ConnectionId, ConnectionInfo>,
    closing: bool,
}

impl Tracker {
    /// A connection begins; it ends when what this returns is dropped.
    pub(crate) fn track(&self, info: &ConnectionInfo) -> Tracked {
        let mut state = self.lock();
        state.live.insert(info.id(), info.clone());
        if state.closing {
            info.request_close();
        }
        Tracked { tracker: self.clone(), info: info.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().live.len()
    }

    /// Asks every connection, and every one to come, to end when its answers are complete.
    pub(crate) fn close_all(&self) {
        self.lock().closing = true;
        for info in self.live() {
            info.request_close();
        }
    }

    pub(crate) fn abort_all(&self) {
        for info in self.live() {
            info.abort();
        }
    }

    /// Waits until no connection is left.
    pub(crate) async fn empty(&self) {
        loop {
            let empty = self.0.empty.notified();
            if self.len() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Apart from the lock: what wakes on it may want it.
    fn live(&self) -> Vec<ConnectionInfo> {
        self.lock().live.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, LiveConnections> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A live connection.
pub(crate) struct Tracked {
    tracker: Tracker,
    info: ConnectionInfo,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.info.set_closed();
        let mut state = self.tracker.lock();
        state.live.remove(&self.info.id());
        let empty = state.live.is_empty();
        drop(state);
        if empty {
            self.tracker.0.empty.notify_waiters();
        }
    }
}
