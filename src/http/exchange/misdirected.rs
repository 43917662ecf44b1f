//! A request on a connection that was made under other rules for client certificates than its host has: 421, and no
//! handler sees it (RFC 9110 section 15.5.20).
//!
//! # Differences from Kestrel
//!
//! STRICTNESS `misdirected`.

use axum::body::Body;
use axum::response::Response;
use http::header::SERVER;
use http::{HeaderValue, Request};

use super::rejection::Rejection;
use crate::connection::{ConnectionInfo, HostRules, HostVerdict, TlsInfo};
use crate::http::rules::Rules;
use crate::telemetry::events;
use crate::text::{host, host_name};

/// Judges every host that a handler may go by.
#[inline]
pub(super) fn judge<B>(info: &ConnectionInfo, request: &Request<B>) -> HostVerdict {
    match info.tls().and_then(TlsInfo::host_rules) {
        None => HostVerdict::Fits,
        Some(rules) => judge_by(rules, request),
    }
}

#[cold]
fn judge_by<B>(rules: &dyn HostRules, request: &Request<B>) -> HostVerdict {
    let judge = |host: &[u8]| {
        // `a.` is `a`, written in full.
        rules.judge(host_name::of(host).map(|name| name.trim_end_matches('.')))
    };
    let named = host::of(request.uri(), request.headers());
    let header = host::of_header(request.headers());
    if header.is_empty() || header == named {
        return judge(&named);
    }
    match (judge(&named), judge(&header)) {
        (HostVerdict::Misdirected, _) | (_, HostVerdict::Misdirected) => HostVerdict::Misdirected,
        (HostVerdict::Fits, other) | (other, HostVerdict::Fits) => other,
        (HostVerdict::Asking(one), HostVerdict::Asking(other)) => {
            HostVerdict::Asking(Box::pin(async move { one.await && other.await }))
        }
    }
}

/// What the client gets. It may come again on a connection of its own.
pub(super) fn answer(info: &ConnectionInfo, rules: &Rules) -> Response {
    let status = Rejection::Misdirected.status();
    events::bad_request(info, &Rejection::Misdirected, status.as_u16());
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some(server) = rules.server {
        response.headers_mut().insert(SERVER, HeaderValue::from_static(server));
    }
    response
}
