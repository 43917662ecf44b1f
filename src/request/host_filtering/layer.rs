//! The layer and its options.

use tower::Layer;

use super::{AllowedHosts, HostFiltering};

/// Answers 400 to requests for hosts that are not allowed.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`refuse_empty_hosts`](Self::refuse_empty_hosts) | a request that names no host passes |
/// | [`without_failure_message`](Self::without_failure_message) | the answer is a small HTML page |
///
/// # Example
///
/// ```
/// use axum::Router;
/// use kestrel_rs::request::{AllowedHosts, HostFilteringLayer};
///
/// # fn main() -> Result<(), kestrel_rs::Error> {
/// let hosts = AllowedHosts::new(["example.com", "[::1]"])?;
/// let app: Router = Router::new()
///     .layer(HostFilteringLayer::new(hosts).refuse_empty_hosts().without_failure_message());
/// # let _ = app; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct HostFilteringLayer {
    pub(super) hosts: AllowedHosts,
    pub(super) empty: bool,
    pub(super) message: bool,
}

impl HostFilteringLayer {
    /// Allows these hosts.
    pub fn new(hosts: AllowedHosts) -> Self {
        Self { hosts, empty: true, message: true }
    }

    /// Refuses requests that name no host: HTTP/1.0 without a Host header, or one that is empty.
    pub fn refuse_empty_hosts(mut self) -> Self {
        self.empty = false;
        self
    }

    /// Answers with no more than the status.
    pub fn without_failure_message(mut self) -> Self {
        self.message = false;
        self
    }
}

impl<S> Layer<S> for HostFilteringLayer {
    type Service = HostFiltering<S>;

    fn layer(&self, inner: S) -> HostFiltering<S> {
        HostFiltering { inner, options: self.clone() }
    }
}
