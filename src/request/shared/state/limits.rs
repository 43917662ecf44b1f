//! The limits of a request, as the layers and the handler have set them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::StatusCode;

use super::is_outermost;
use crate::limits::MinDataRate;

/// What is known of a request's limits and its body; each read or write costs about a nanosecond.
pub(crate) struct LimitState {
    /// [`UNLIMITED`] for none.
    max_size: AtomicU64,
    request_rate: AtomicRate,
    response_rate: AtomicRate,
    marks: [AtomicBool; 8],
    /// The status that says how the body failed; 0 while it has not.
    failure: AtomicU16,
    /// Octets so far of the chunks' framing, which count to the size; counted by the connection.
    framing: Option<Arc<AtomicU64>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    SizeLayer,
    RequestRateLayer,
    ResponseRateLayer,
    /// The body has been read from.
    Read,
    Upgraded,
    /// The rest of the body is not to be waited for.
    Abandoned,
    /// The connection writes the `Server` header of an answer, if it is asked to: cheaper than to insert it.
    WritesServer,
    /// It is asked to.
    Server,
}

const UNLIMITED: u64 = u64::MAX;

impl Default for LimitState {
    fn default() -> Self {
        Self {
            max_size: AtomicU64::new(UNLIMITED),
            request_rate: AtomicRate::default(),
            response_rate: AtomicRate::default(),
            marks: Default::default(),
            failure: AtomicU16::new(0),
            framing: None,
        }
    }
}

impl LimitState {
    /// Of a request that we serve: its answer's rate is enforced where it is written.
    pub(crate) fn served(response_rate: Option<MinDataRate>, framing: Option<Arc<AtomicU64>>) -> Self {
        let state = Self { framing, ..Self::default() };
        state.set_response_rate(response_rate);
        state.mark(Mark::ResponseRateLayer);
        state
    }

    pub(in crate::request) fn max_size(&self) -> Option<u64> {
        Some(self.max_size.load(Relaxed)).filter(|size| *size != UNLIMITED)
    }

    pub(in crate::request) fn set_max_size(&self, size: Option<u64>) {
        self.max_size.store(size.unwrap_or(UNLIMITED), Relaxed);
    }

    /// Whether a body of `octets`, its framing so far added, is over the limit.
    pub(crate) fn is_over(&self, octets: u64) -> bool {
        let framing = self.framing.as_ref().map_or(0, |framing| framing.load(Relaxed));
        octets.saturating_add(framing) > self.max_size.load(Relaxed)
    }

    /// Whether the end of the data is not the last word on the size.
    pub(in crate::request) fn counts_framing(&self) -> bool {
        self.framing.is_some()
    }

    pub(in crate::request) fn request_rate(&self) -> Option<MinDataRate> {
        self.request_rate.load()
    }

    pub(in crate::request) fn set_request_rate(&self, rate: Option<MinDataRate>) {
        self.request_rate.store(rate);
    }

    pub(crate) fn response_rate(&self) -> Option<MinDataRate> {
        self.response_rate.load()
    }

    pub(in crate::request) fn set_response_rate(&self, rate: Option<MinDataRate>) {
        self.response_rate.store(rate);
    }

    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.marks[mark as usize].load(Relaxed)
    }

    /// A layer has given its value; `true` if it is the outermost of its kind, which is the one to
    /// enforce it.
    pub(in crate::request) fn enter(&self, layer: Mark) -> bool {
        is_outermost(&self.marks[layer as usize])
    }

    pub(crate) fn mark(&self, mark: Mark) {
        self.marks[mark as usize].store(true, Relaxed);
    }

    /// The body has failed, in the way that `status` says.
    pub(crate) fn fail(&self, status: StatusCode) {
        self.failure.store(status.as_u16(), Relaxed);
        self.mark(Mark::Abandoned);
    }

    pub(crate) fn failure(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.failure.load(Relaxed)).ok()
    }
}

/// A rate that may change while it is read. Its halves may be seen apart, for one look.
#[derive(Default)]
struct AtomicRate {
    /// 0 for none, which no rate is.
    bytes_per_second: AtomicU64,
    grace_nanos: AtomicU64,
}

impl AtomicRate {
    fn load(&self) -> Option<MinDataRate> {
        let bytes_per_second = self.bytes_per_second.load(Relaxed);
        let grace = Duration::from_nanos(self.grace_nanos.load(Relaxed));
        (bytes_per_second != 0).then(|| MinDataRate::known_good(f64::from_bits(bytes_per_second), grace))
    }

    fn store(&self, rate: Option<MinDataRate>) {
        // A grace of more than 584 years may as well be one of 584.
        let nanos = rate.map_or(0, |rate| u64::try_from(rate.grace_period().as_nanos()).unwrap_or(u64::MAX));
        self.grace_nanos.store(nanos, Relaxed);
        self.bytes_per_second.store(rate.map_or(0, |rate| rate.bytes_per_second().to_bits()), Relaxed);
    }
}
