//! Runs the streams of a connection, each as a task that ends when its client takes too slowly.

use std::future::Future;

use hyper::rt::Executor;

use crate::connection::ConnectionInfo;
use crate::request::min_response_data_rate::Watched;
use crate::telemetry::events;

/// What hyper runs streams with.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    info: ConnectionInfo,
}

impl StreamExecutor {
    pub(super) fn new(info: ConnectionInfo) -> Self {
        Self { info }
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        let info = self.info.clone();
        tokio::spawn(async move {
            // Given up, hyper's stream is dropped, which resets it.
            if Watched::new(stream).await.is_err() {
                events::response_too_slow(&info);
            }
        });
    }
}
