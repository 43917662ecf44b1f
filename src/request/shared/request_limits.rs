//! What a handler can ask and change of the limits of its own request.

use std::fmt;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::RequestContext;
use super::state::{LimitState, Mark};
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
        self.check(Mark::SizeLayer)?;
        if state.has(Mark::Read) {
            return Err(LimitError(LimitProblem::Read));
        }
        if state.has(Mark::Upgraded) {
            return Err(LimitError(LimitProblem::Upgraded));
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
        self.check(Mark::RequestRateLayer)?;
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
        self.check(Mark::ResponseRateLayer)?;
        self.state().set_response_rate(rate.into());
        Ok(())
    }

    fn find(parts: &mut Parts) -> Result<Self, LimitError> {
        match parts.extensions.get::<RequestContext>() {
            Some(context) if LAYERS.into_iter().any(|layer| context.limits().has(layer)) => {
                Ok(Self(context.clone()))
            }
            _ => Err(LimitError(LimitProblem::NoLayers)),
        }
    }

    fn state(&self) -> &LimitState {
        self.0.limits()
    }

    fn check(&self, layer: Mark) -> Result<(), LimitError> {
        let name = match layer {
            Mark::RequestRateLayer => "MinRequestBodyDataRateLayer",
            Mark::ResponseRateLayer => "MinResponseDataRateLayer",
            _ => "MaxRequestBodySizeLayer",
        };
        if self.state().has(layer) { Ok(()) } else { Err(LimitError(LimitProblem::NoLayer(name))) }
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
pub struct LimitError(LimitProblem);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LimitProblem {
    Read,
    Upgraded,
    NoLayer(&'static str),
    NoLayers,
}

impl LimitError {
    /// The body has been read from, or the connection is upgraded.
    pub fn is_too_late(self) -> bool {
        matches!(self.0, LimitProblem::Read | LimitProblem::Upgraded)
    }
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LimitProblem::Read => f.write_str(
                "the largest request body cannot be set any more: the body has been read from; set it before the first read",
            ),
            LimitProblem::Upgraded => f.write_str(
                "the largest request body cannot be set any more: the connection has been upgraded",
            ),
            LimitProblem::NoLayer(layer) => write!(
                f,
                "nothing would enforce this limit: no `{layer}` is around the handler; add it, or serve with the default layers of `kestrel_rs::serve`"
            ),
            LimitProblem::NoLayers => f.write_str(
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

const LAYERS: [Mark; 3] = [Mark::SizeLayer, Mark::RequestRateLayer, Mark::ResponseRateLayer];
