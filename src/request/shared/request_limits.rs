//! What a handler can ask and change of the limits of its own request.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::RequestContext;
use super::around::is_outermost;
use crate::limits::MinDataRate;

/// The limits of one request: the third height, after the server's [`Limits`](crate::Limits) and
/// the layers of a route.
///
/// An extractor. What is set counts for this request alone; the next one on the connection has the
/// server's values again. Clones are handles on the same request.
///
/// It needs the layer of each limit somewhere around the handler. The default stack of
/// [`serve`](crate::serve) has them all; elsewhere a setter without its layer is an error, and
/// with none of the layers the extractor itself answers with 500.
///
/// # Example
///
/// ```
/// use axum::{Router, body::Bytes, routing::post};
/// use kestrel_rs::request::{LimitError, RequestLimits};
///
/// async fn upload(limits: RequestLimits, body: axum::body::Body) -> Result<String, LimitError> {
///     limits.set_max_request_body_size(1 << 30)?; // before the first read
///     limits.set_min_request_body_data_rate(None)?;
///     Ok(format!("{:?}", limits.max_request_body_size()))
/// }
/// # let _: Router = Router::new().route("/", post(upload));
/// ```
///
/// # Differences from Kestrel
///
/// The rates can be set on HTTP/2 too, to any value, and the response's rate is there at all.
#[derive(Clone)]
pub struct RequestLimits(RequestContext);

impl RequestLimits {
    /// The largest body in bytes; `None` is unlimited.
    pub fn max_request_body_size(&self) -> Option<u64> {
        self.state().max_size()
    }

    /// Sets the largest body in bytes; `None` is unlimited, which hurts whoever gathers a body in
    /// memory.
    ///
    /// An error once the body has been read from, after an upgrade, and without a
    /// [`MaxRequestBodySizeLayer`](crate::request::MaxRequestBodySizeLayer) around.
    pub fn set_max_request_body_size(&self, bytes: impl Into<Option<u64>>) -> Result<(), LimitError> {
        let state = self.state();
        state.check(Mark::SizeLayer)?;
        if state.has(Mark::Read) {
            return Err(LimitError(Problem::Read));
        }
        if state.has(Mark::Upgraded) {
            return Err(LimitError(Problem::Upgraded));
        }
        state.set_max_size(bytes.into());
        Ok(())
    }

    /// The slowest that the body may come; `None` is not limited.
    pub fn min_request_body_data_rate(&self) -> Option<MinDataRate> {
        self.state().request_rate()
    }

    /// Sets the slowest that the body may come, at any time; `None` is not limited, and a client
    /// may then hold the handler for ever.
    ///
    /// An error without a [`MinRequestBodyDataRateLayer`](crate::request::MinRequestBodyDataRateLayer)
    /// around.
    pub fn set_min_request_body_data_rate(
        &self,
        rate: impl Into<Option<MinDataRate>>,
    ) -> Result<(), LimitError> {
        self.state().check(Mark::RequestRateLayer)?;
        self.state().set_request_rate(rate.into());
        Ok(())
    }

    /// The slowest that the client may take the answer; `None` is not limited.
    pub fn min_response_data_rate(&self) -> Option<MinDataRate> {
        self.state().response_rate()
    }

    /// Sets the slowest that the client may take the answer; `None` is not limited, and a client
    /// may then hold the answer and its memory for ever. It counts from the head of the answer on.
    ///
    /// An error without a [`MinResponseDataRateLayer`](crate::request::MinResponseDataRateLayer) around.
    pub fn set_min_response_data_rate(&self, rate: impl Into<Option<MinDataRate>>) -> Result<(), LimitError> {
        self.state().check(Mark::ResponseRateLayer)?;
        self.state().set_response_rate(rate.into());
        Ok(())
    }

    fn find(parts: &mut Parts) -> Result<Self, LimitError> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if LAYERS.into_iter().any(|layer| context.limits().has(layer)) => {
                Ok(Self(context.clone()))
            }
            _ => Err(LimitError(Problem::NoLayers)),
        }
    }

    fn state(&self) -> &LimitState {
        self.0.limits()
    }
}

impl fmt::Debug for RequestLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLimits")
            .field("max_request_body_size", &self.max_request_body_size())
            .field("min_request_body_data_rate", &self.min_request_body_data_rate())
            .field("min_response_data_rate", &self.min_response_data_rate())
            .finish()
    }
}

extractor!(RequestLimits, LimitError);

/// A limit of a request could not be set.
///
/// As a response it is a 500 that says so: the mistake is the server's.
///
/// # Example
///
/// ```
/// use axum::{Router, body::Bytes, routing::post};
/// use kestrel_rs::request::{LimitError, RequestLimits};
///
/// async fn handler(limits: RequestLimits, body: Bytes) -> &'static str {
///     match limits.set_max_request_body_size(10) {
///         Err(error) if error.is_too_late() => "the body has been read",
///         _ => "the limit is 10, or its layer is missing",
///     }
/// }
/// # let _: Router = Router::new().route("/", post(handler));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitError(Problem);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Read,
    Upgraded,
    NoLayer(&'static str),
    NoLayers,
}

impl LimitError {
    /// The body has been read from, or the connection is upgraded.
    pub fn is_too_late(self) -> bool {
        matches!(self.0, Problem::Read | Problem::Upgraded)
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Problem::Read => f.write_str(
                "the largest request body cannot be set any more: the body has been read from; set it before the first read",
            ),
            Problem::Upgraded => f.write_str(
                "the largest request body cannot be set any more: the connection has been upgraded",
            ),
            Problem::NoLayer(layer) => write!(
                f,
                "nothing would enforce this limit: no `{layer}` is around the handler; add it, or serve with the default layers of `kestrel_rs::serve`"
            ),
            Problem::NoLayers => f.write_str(
                "this request has no limits to set: none of `MaxRequestBodySizeLayer`, `MinRequestBodyDataRateLayer` and `MinResponseDataRateLayer` is around the handler; add one, or serve with the default layers of `kestrel_rs::serve`",
            ),
        }
    }
}

impl std::error::Error for LimitError {}

impl IntoResponse for LimitError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// What is known of a request's limits and its body; each read or write costs about a nanosecond.
pub(crate) struct LimitState {
    /// [`UNLIMITED`] for none.
    max_size: AtomicU64,
    request_rate: AtomicRate,
    response_rate: AtomicRate,
    marks: [AtomicBool; 6],
    /// The status that says how the body failed; 0 while it has not.
    failure: AtomicU16,
    /// Octets so far of the chunks' framing, which count to the size; counted by the gate.
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
}

const LAYERS: [Mark; 3] = [Mark::SizeLayer, Mark::RequestRateLayer, Mark::ResponseRateLayer];

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
    /// Of a request on HTTP/1, where the connection enforces the rate of the answer.
    pub(crate) fn http1(response_rate: Option<MinDataRate>, framing: Option<Arc<AtomicU64>>) -> Self {
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
    pub(in crate::request) fn is_over(&self, octets: u64) -> bool {
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

    pub(in crate::request) fn failure(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.failure.load(Relaxed)).ok()
    }

    fn check(&self, layer: Mark) -> Result<(), LimitError> {
        let name = match layer {
            Mark::RequestRateLayer => "MinRequestBodyDataRateLayer",
            Mark::ResponseRateLayer => "MinResponseDataRateLayer",
            _ => "MaxRequestBodySizeLayer",
        };
        if self.has(layer) { Ok(()) } else { Err(LimitError(Problem::NoLayer(name))) }
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
