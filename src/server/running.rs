//! A server at work, and its end: by a signal, or because nobody waits for it any more.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::accept::Accepting;
use super::tracker::Tracker;
use crate::telemetry::events;

/// A server that accepts and serves. Dropped before its end, it comes to it in the background.
pub(super) struct Running {
    pub(super) accepting: Accepting,
    pub(super) tracker: Tracker,
    /// For a shutdown; `None` is for ever.
    timeout: Option<Duration>,
    /// How many addresses were announced.
    addresses: usize,
    stage: Stage,
    /// Where the shutdown goes on.
    runtime: Handle,
}

enum Stage {
    Serving,
    Ending(Ending),
    Ended,
}

/// What a shutdown waits for.
struct Ending {
    tracker: Tracker,
    /// `None` is never.
    deadline: Option<Instant>,
    /// Ready when whoever waits has no more patience.
    cut: Cut,
}

type Cut = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Running {
    /// Call it inside a runtime.
    pub(super) fn new(timeout: Option<Duration>, addresses: usize) -> Self {
        Self {
            accepting: Accepting::default(),
            tracker: Tracker::default(),
            timeout,
            addresses,
            stage: Stage::Serving,
            runtime: Handle::current(),
        }
    }

    /// Lets what is in work come to its end, until the time is over or `cut` is ready.
    pub(super) async fn shut_down(mut self, cut: Cut) {
        self.stage = Stage::Ending(self.begin(cut));
        self.accepting.stop().await; // the sockets are closed, nothing new comes
        self.tracker.close_all();
        if let Stage::Ending(ending) = &mut self.stage {
            ending.wait().await;
        }
        self.stage = Stage::Ended;
    }

    fn begin(&self, cut: Cut) -> Ending {
        events::shutting_down(self.tracker.len(), self.addresses);
        // A time that no clock can show is for ever.
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Ending { tracker: self.tracker.clone(), deadline, cut }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever drops it may stand outside, and the clock is that of the runtime.
        let _inside = self.runtime.enter();
        let mut ending = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Serving => self.begin(Box::pin(pending())),
            Stage::Ending(ending) => ending,
            Stage::Ended => return,
        };
        let stopped = self.accepting.close();
        self.tracker.close_all();
        self.runtime.spawn(async move {
            stopped.await;
            ending.wait().await;
        });
    }
}

impl Ending {
    /// Waits until no connection is left, and cuts those that take too long.
    async fn wait(&mut self) {
        let Self { tracker, deadline, cut } = self;
        let over = async {
            match *deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = tracker.empty() => return,
            () = over => {}
            () = cut => {}
        }
        events::connections_cut(tracker.len());
        tracker.abort_all();
        // Cut connections end as soon as their tasks run; a task that blocks is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(1), tracker.empty()).await;
    }
}
