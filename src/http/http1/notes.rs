//! What hyper is not told of a request, or told otherwise, and its handler is to know.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::extract::OriginalUri;
use http::header::{EXPECT, Entry, HOST};
use http::{HeaderName, HeaderValue, Request, Version};

use super::answers::Method;
use super::head::{Asks, BodyLength, Head};
use crate::http::exchange::{host, target};

/// What the handler's side needs to know of a request and hyper does not tell it.
#[derive(Debug, Default)]
pub(super) struct RequestNotes {
    /// HTTP/1.0 among them, which hyper was shown as 1.1.
    pub(super) asks: Asks,
    /// An `Expect: 100-continue` hidden from hyper, which would answer it.
    pub(super) hidden_expect: bool,
    /// The Content-Length that a Transfer-Encoding overruled.
    pub(super) dropped_length: Option<Box<HeaderValue>>,
    method: Method,
    /// Octets so far of the framing of its chunked body.
    pub(super) framing: Option<Arc<AtomicU64>>,
}

impl RequestNotes {
    /// Of a good head, whose octets these are.
    pub(super) fn new(head: &Head, octets: &[u8]) -> Self {
        Self {
            asks: head.asks,
            hidden_expect: false,
            dropped_length: head
                .dropped_content_length
                .clone()
                .and_then(|range| HeaderValue::from_bytes(&octets[range]).ok().map(Box::new)),
            method: match octets.first_chunk() {
                Some(b"HEAD ") => Method::Head,
                _ if head.asks.has(Asks::CONNECT) => Method::Connect,
                _ => Method::Other,
            },
            framing: matches!(head.body, BodyLength::Chunked).then(Arc::default),
        }
    }

    /// The same, and rewrites what hyper would refuse or answer by itself, until
    /// [`restore`](Self::restore). `more`: octets of the body have come too.
    pub(super) fn hidden_from_hyper(head: &Head, octets: &mut [u8], more: bool) -> Self {
        let mut notes = Self::new(head, octets);
        let http10 = head.asks.has(Asks::HTTP10);
        if http10 {
            // hyper refuses a chunked body on 1.0 and answers with 1.0, which Kestrel does not; so
            // hyper sees 1.1 and `Exchange` does what 1.0 needs.
            octets[head.minor_version_at] = b'1';
        }
        // No 100 on HTTP/1.0, and none when the body has begun to come: hyper would send one.
        if let Some(expect) = head.expect_continue_at.filter(|_| more || http10) {
            octets[expect] = b'-';
            notes.hidden_expect = true;
        }
        notes
    }

    /// Undoes what the gate did to the head for hyper's sake, and adds what hyper leaves out.
    pub(super) fn restore<B>(&self, request: &mut Request<B>) {
        if self.asks.has(Asks::HTTP10) {
            *request.version_mut() = Version::HTTP_10;
        }
        if self.asks.has(Asks::HOST_OVERRIDE) {
            let host = host::of_absolute(request.uri().to_string().as_bytes());
            if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
                request.headers_mut().insert(HOST, host);
            }
        }
        if self.hidden_expect {
            request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        if let Some(length) = &self.dropped_length
            && let Entry::Vacant(entry) = request.headers_mut().entry(X_CONTENT_LENGTH)
        {
            entry.insert(HeaderValue::clone(length));
        }
        if self.asks.has(Asks::NORMALIZE)
            && let Some(uri) = target::normalize(request.uri())
        {
            let original = std::mem::replace(request.uri_mut(), uri);
            request.extensions_mut().insert(OriginalUri(original));
        }
    }

    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// What follows the request may be no request.
    pub(super) fn asks_upgrade(&self) -> bool {
        self.asks.has(Asks::UPGRADE) || self.asks.has(Asks::CONNECT)
    }
}

/// Kestrel keeps a Content-Length that a Transfer-Encoding overruled under this name.
const X_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-content-length");
