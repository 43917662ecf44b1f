//! The accept loop: one for each bound socket and worker.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::tracker::Tracker;
use crate::connection::{BoxConnectionService, Connection, ConnectionInfo};
use crate::listener::BoundEndpoint;
use crate::telemetry::events;
#[cfg(feature = "tls")]
use crate::tls::Followed;
use crate::transport::is_connection_error;

/// How long accepting rests when the system has no more descriptors or memory to give.
const REST: Duration = Duration::from_secs(1);

/// How many tasks accept on a socket: one for each worker, so that a connection is served where it
/// was accepted and no worker waits for another's accepting. Measured with a new connection for
/// each request against one task: CPU 0.97, with two; requests/s 1.03.
pub(super) fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_workers()
}

/// The tasks that accept. Dropped, it closes their sockets at once.
#[derive(Debug, Default)]
pub(super) struct Accepting {
    stop: CancellationToken,
    tasks: TaskTracker,
    /// The tasks hold them, so that a socket is closed with the last of its tasks.
    endpoints: Vec<Weak<BoundEndpoint>>,
}

impl Accepting {
    /// Accepts on a socket by so many tasks. Call it inside a runtime.
    pub(super) fn start(
        &mut self,
        endpoint: BoundEndpoint,
        service: &BoxConnectionService,
        tracker: &Tracker,
        tasks: usize,
    ) {
        follow_files(&endpoint, &self.stop);
        let endpoint = Arc::new(endpoint);
        self.endpoints.push(Arc::downgrade(&endpoint));
        for _ in 0..tasks {
            let (endpoint, service) = (endpoint.clone(), service.clone());
            self.tasks.spawn(accept(endpoint, service, tracker.clone(), self.stop.clone()));
        }
    }

    /// Stops accepting; ready when the sockets are closed.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Closes the sockets now, before the tasks have come to know it; what this returns is ready
    /// when they have ended.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        // Held before the tasks know: one that is about to be closed by its last task would not be
        // found, and not be closed yet.
        let endpoints: Vec<_> = self.endpoints.iter().filter_map(Weak::upgrade).collect();
        self.stop.cancel();
        for endpoint in &endpoints {
            endpoint.bound.close();
        }
        self.tasks.close();
        let tasks = self.tasks.clone();
        async move { tasks.wait().await }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// Follows the files of the endpoint's certificates and authorities until told to stop. Call it inside a runtime.
#[cfg(feature = "tls")]
fn follow_files(endpoint: &BoundEndpoint, stop: &CancellationToken) {
    for watch in endpoint.followed.iter().filter_map(Followed::watch) {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch => {}
            }
        });
    }
}

/// There are none.
#[cfg(not(feature = "tls"))]
fn follow_files(_: &BoundEndpoint, _: &CancellationToken) {}

/// Accepts connections and serves each in a task of its own, until told to stop.
///
/// Nothing that a connection does ends this loop.
async fn accept(
    endpoint: Arc<BoundEndpoint>,
    service: BoxConnectionService,
    tracker: Tracker,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = endpoint.bound.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(_) if stop.is_cancelled() => return,
            Err(error) if is_connection_error(&error) => continue,
            Err(error) => {
                events::accept_failed(&endpoint.name, &error);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(REST) => continue,
                }
            }
        };
        let info = ConnectionInfo::new(endpoint.name.clone(), accepted.local, accepted.peer, accepted.reset);
        info.insert_all(accepted.items);
        let live = tracker.track(&info);
        let served = service.clone().oneshot(Connection::new(accepted.io, info.clone()));
        tokio::spawn(async move {
            let _live = live;
            if let Err(error) = served.await {
                events::connection_failed(&info, &error);
            }
        });
    }
}
