use tower::Layer;

use super::MinResponseDataRate;
use crate::limits::MinDataRate;

/// Asks for a rate at which answers are taken; see the [module](super).
#[derive(Clone, Copy, Debug)]
pub struct MinResponseDataRateLayer {
    rate: Option<MinDataRate>,
}

impl MinResponseDataRateLayer {
    /// Answers must be taken at this rate; with `None` a client may hold an answer, and the memory
    /// that it takes, for ever.
    pub fn new(rate: impl Into<Option<MinDataRate>>) -> Self {
        Self { rate: rate.into() }
    }
}

/// 240 bytes a second after 5 seconds.
impl Default for MinResponseDataRateLayer {
    fn default() -> Self {
        Self::new(MinDataRate::default())
    }
}

impl<S> Layer<S> for MinResponseDataRateLayer {
    type Service = MinResponseDataRate<S>;

    fn layer(&self, inner: S) -> MinResponseDataRate<S> {
        MinResponseDataRate { inner, rate: self.rate }
    }
}
