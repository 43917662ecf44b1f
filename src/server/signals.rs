//! Ctrl-C and SIGTERM: the first begins the shutdown, the second cuts what is left, the third ends
//! the process.

use std::future::{Future, pending};
use std::pin::Pin;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::tracker::Tracker;
use crate::telemetry::events;

/// Ready at the first that comes from now on.
pub(super) fn first() -> impl Future<Output = ()> + Send {
    let mut signals = Signals::listen();
    async move {
        signals.next().await;
    }
}

/// Listens for those that come after the first.
///
/// On a thread of its own: a handler that blocks may hold up every other, and whoever presses
/// Ctrl-C once more should not have to look for another way.
pub(super) struct Further {
    /// Ready at the second.
    pub(super) second: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Dropped, it lets the thread end.
    pub(super) served: oneshot::Sender<()>,
}

impl Further {
    /// The thread ends when the server has, and no connection is left.
    pub(super) async fn listen(live: Tracker) -> Self {
        let (listening, listens) = oneshot::channel();
        let (second, came) = oneshot::channel();
        let (served, end) = oneshot::channel();
        // Without a thread to listen there are no more signals, and the time for the shutdown ends it.
        let _ = std::thread::Builder::new().name("kestrel-rs-signals".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let signals = Signals::listen();
                let _ = listening.send(());
                let ended = async {
                    let _: Result<(), _> = end.await;
                    live.empty().await;
                };
                tokio::select! {
                    () = ended => {}
                    () = react(signals, second) => {}
                }
            });
        });
        let _ = listens.await;
        let second = Box::pin(async move {
            if came.await.is_err() {
                pending::<()>().await;
            }
        });
        Self { second, served }
    }
}

async fn react(mut signals: Signals, second: oneshot::Sender<()>) {
    signals.next().await;
    let _ = second.send(());
    let number = signals.next().await.as_raw_value();
    events::exiting();
    // What a shell says of a process that a signal has ended.
    std::process::exit(128 + number)
}

struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Signals {
    /// Where the system gives no handler the program ends as programs do.
    fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Self { interrupt: listen(SignalKind::interrupt()), terminate: listen(SignalKind::terminate()) }
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            () = came(&mut self.interrupt) => SignalKind::interrupt(),
            () = came(&mut self.terminate) => SignalKind::terminate(),
        }
    }
}

async fn came(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        pending::<()>().await;
    }
}
