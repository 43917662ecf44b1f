//! Trailers of a request as far as they have come, and of its answer as far as they are to be sent.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::Body;
use http::header::TE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode, Version};

use super::is_outermost;

/// What the layer and the extractors share about one request.
#[derive(Default)]
pub(in crate::request) struct TrailersState {
    has_layer: AtomicBool,
    /// The request's body has ended, with `received` if it had trailers.
    body_ended: AtomicBool,
    pub(in crate::request) received: OnceLock<Box<HeaderMap>>,
    /// Set once the handler has taken [`ResponseTrailers`](crate::request::ResponseTrailers).
    pub(in crate::request) to_send: OnceLock<Arc<TrailersToSend>>,
}

impl TrailersState {
    /// Whether this is the outermost layer of its kind around the handler.
    pub(in crate::request) fn enter(&self) -> bool {
        is_outermost(&self.has_layer)
    }

    pub(in crate::request) fn has_layer(&self) -> bool {
        self.has_layer.load(Relaxed)
    }

    /// The request's body has ended.
    pub(in crate::request) fn set_received(&self, trailers: Option<&HeaderMap>) {
        if let Some(trailers) = trailers {
            self.received.get_or_init(|| Box::new(trailers.clone()));
        }
        self.body_ended.store(true, Release);
    }

    pub(in crate::request) fn has_body_ended(&self) -> bool {
        self.body_ended.load(Acquire)
    }
}

/// What the handler and the answer's body share.
pub(in crate::request) struct TrailersToSend {
    pub(in crate::request) way: TrailersWay,
    /// The answer can have a body, as far as the request says.
    method: Method,
    state: Mutex<TrailersSoFar>,
}

/// How trailers are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::request) enum TrailersWay {
    None,
    /// In the last chunk; hyper writes only those that the `Trailer` header names.
    Http1,
    Http2,
}

pub(in crate::request) struct TrailersSoFar {
    pub(in crate::request) phase: TrailersPhase,
    pub(in crate::request) declared: Vec<HeaderName>,
    pub(in crate::request) fields: HeaderMap,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::request) enum TrailersPhase {
    /// The head has not been sent.
    Before,
    /// The body is being sent.
    Body,
    /// Nothing more can be sent.
    Complete,
}

impl TrailersToSend {
    pub(in crate::request) fn new(parts: &Parts) -> Self {
        let way = match parts.version {
            Version::HTTP_11 if takes_trailers(&parts.headers) => TrailersWay::Http1,
            Version::HTTP_09 | Version::HTTP_10 | Version::HTTP_11 => TrailersWay::None,
            _ => TrailersWay::Http2,
        };
        let state =
            TrailersSoFar { phase: TrailersPhase::Before, declared: Vec::new(), fields: HeaderMap::new() };
        Self { way, method: parts.method.clone(), state: Mutex::new(state) }
    }

    pub(in crate::request) fn lock(&self) -> MutexGuard<'_, TrailersSoFar> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether trailers may follow this answer.
    pub(in crate::request) fn can_follow(&self, response: &Response<Body>) -> bool {
        let status = response.status();
        let has_body = self.method != Method::HEAD
            && !(self.method == Method::CONNECT && status.is_success())
            && !status.is_informational()
            && status != StatusCode::NO_CONTENT
            && status != StatusCode::NOT_MODIFIED;
        self.way != TrailersWay::None && has_body && status != StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl TrailersSoFar {
    /// Ends the time for trailers and gives what there is to send.
    pub(in crate::request) fn end(&mut self) -> HeaderMap {
        self.phase = TrailersPhase::Complete;
        std::mem::take(&mut self.fields)
    }
}

/// As hyper: any `trailers` in any `TE`.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}
