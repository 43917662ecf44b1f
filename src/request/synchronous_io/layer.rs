use axum::body::Body;
use http::Request;
use tower::Layer;

use crate::request::RequestContext;
use crate::request::shared::around::{Around, Step};
use crate::request::shared::state::SynchronousIoRule;

/// Says whether handlers may read and write bodies with blocking calls; see the
/// [module](super). By default they may not.
///
/// A layer inside another one sets the outer one's value.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::post};
/// use kestrel_rs::request::SynchronousIoLayer;
///
/// // For every route of an app that `kestrel_rs::serve` serves:
/// let app: Router = Router::new().layer(SynchronousIoLayer::allowed());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SynchronousIoLayer {
    rule: SynchronousIoRule,
}

impl SynchronousIoLayer {
    /// Blocking reads and writes are allowed.
    pub fn allowed() -> Self {
        Self { rule: SynchronousIoRule::Allowed }
    }

    /// Blocking reads and writes are refused, as by default.
    pub fn refused() -> Self {
        Self { rule: SynchronousIoRule::Refused }
    }
}

impl Default for SynchronousIoLayer {
    fn default() -> Self {
        Self::refused()
    }
}

impl<S> Layer<S> for SynchronousIoLayer {
    type Service = SetSynchronousIo<S>;

    fn layer(&self, inner: S) -> SetSynchronousIo<S> {
        Around::new(inner, *self)
    }
}

/// The service of [`SynchronousIoLayer`].
pub type SetSynchronousIo<S> = Around<S, SynchronousIoLayer>;

impl Step for SynchronousIoLayer {
    type Kept = ();

    #[inline]
    fn enter(&self, _: &mut Request<Body>, context: &RequestContext) {
        context.synchronous_io().set(self.rule);
    }
}
