use tower::Layer;

use super::MinRequestBodyDataRate;
use crate::limits::MinDataRate;

/// Asks for a rate of request bodies; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MinRequestBodyDataRateLayer {
    rate: Option<MinDataRate>,
}

impl MinRequestBodyDataRateLayer {
    /// Bodies must come at this rate; with `None` a client may hold its handler for ever.
    pub fn new(rate: impl Into<Option<MinDataRate>>) -> Self {
        Self { rate: rate.into() }
    }
}

/// 240 bytes a second after 5 seconds.
impl Default for MinRequestBodyDataRateLayer {
    fn default() -> Self {
        Self::new(MinDataRate::default())
    }
}

impl<S> Layer<S> for MinRequestBodyDataRateLayer {
    type Service = MinRequestBodyDataRate<S>;

    fn layer(&self, inner: S) -> MinRequestBodyDataRate<S> {
        MinRequestBodyDataRate { inner, rate: self.rate }
    }
}
