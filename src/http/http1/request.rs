//! A head as the request that it is.

use axum::extract::OriginalUri;
use bytes::Bytes;
use http::header::{Entry, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::field::FieldAt;
use super::head::{Asks, Head};
use super::memo::Memo;
use crate::http::exchange::rejection::Rejection;
use crate::http::exchange::{host, target};

/// Kestrel keeps a Content-Length that a Transfer-Encoding overruled under this name.
const X_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-content-length");

/// Makes a request of a good head, whose octets these are; `headers` is empty, and has room at best.
///
/// An error is one of http's types, which take less than the grammar here; none is known that passes the one and not
/// the other.
pub(super) fn build<B>(
    head: &Head,
    octets: &Bytes,
    (fields, memo): (&[FieldAt], &mut Memo),
    mut headers: HeaderMap,
    body: B,
) -> Result<Request<B>, Rejection> {
    if headers.capacity() < fields.len() {
        headers = HeaderMap::with_capacity(fields.len());
    }
    for (place, field) in fields.iter().enumerate() {
        if head.dropped_content_length.as_ref() == Some(&field.value) {
            continue;
        }
        let (name, value) = memo.header(place, octets, field)?;
        headers.append(name, value);
    }
    memo.begin_to_learn();
    let mut request = Request::new(body);
    *request.headers_mut() = headers;
    *request.method_mut() =
        Method::from_bytes(&octets[..head.method_end]).map_err(|_| Rejection::InvalidRequestLine)?;
    if octets[head.target.clone()] != *b"/" {
        *request.uri_mut() = Uri::from_maybe_shared(octets.slice(head.target.clone()))
            .map_err(|_| Rejection::InvalidRequestTarget)?;
    }
    if head.asks.has(Asks::HTTP10) {
        *request.version_mut() = Version::HTTP_10;
    }
    if let Some(length) = head.dropped_content_length.clone()
        && let Entry::Vacant(entry) = request.headers_mut().entry(X_CONTENT_LENGTH)
        && let Ok(length) = HeaderValue::from_maybe_shared(octets.slice(length))
    {
        entry.insert(length);
    }
    if head.asks.has(Asks::HOST_OVERRIDE) {
        let host = host::of_absolute(&octets[head.target.clone()]);
        if let Some(host) = host.and_then(|host| HeaderValue::try_from(host).ok()) {
            request.headers_mut().insert(HOST, host);
        }
    }
    if head.asks.has(Asks::NORMALIZE)
        && let Some(uri) = target::normalize(request.uri())
    {
        let original = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(OriginalUri(original));
    }
    Ok(request)
}
