use tower::Layer;

use super::MaxRequestBodySize;

/// Limits the size of request bodies; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MaxRequestBodySizeLayer {
    limit: Option<u64>,
}

impl MaxRequestBodySizeLayer {
    /// Bodies of at most so many bytes; 0 takes empty ones only.
    pub fn bytes(limit: u64) -> Self {
        Self { limit: Some(limit) }
    }

    /// Bodies of any size, which hurts a handler that gathers them in memory.
    pub fn unlimited() -> Self {
        Self { limit: None }
    }
}

impl<S> Layer<S> for MaxRequestBodySizeLayer {
    type Service = MaxRequestBodySize<S>;

    fn layer(&self, inner: S) -> MaxRequestBodySize<S> {
        MaxRequestBodySize { inner, limit: self.limit }
    }
}
