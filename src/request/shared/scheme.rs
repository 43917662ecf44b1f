//! How a request came: in clear or by TLS.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use http::{Extensions, Request, Uri};

use super::RequestContext;
use crate::connection::ConnectionInfo;

/// The scheme of a request: `http`, `https`, or what a trusted proxy said that its client used.
///
/// It is, in this order: what [`ForwardedHeadersLayer`](crate::request::ForwardedHeadersLayer) found; `https` on a connection
/// of TLS and `http` on another, whatever a client writes into HTTP/2's `:scheme`; where the server does not know the
/// connection, the scheme of the URI, which a server of another make may set from HTTP/2's `:scheme`; `http`.
/// `wss` and `ws`, which some proxies say of a WebSocket, count as `https` and `http`. Layers like [`HstsLayer`](crate::request::HstsLayer) and
/// [`HttpsRedirectionLayer`](crate::request::HttpsRedirectionLayer) go by it. A layer of your own, one that
/// knows that TLS ended elsewhere, puts it into the request's extensions.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use kestrel_rs::request::RequestScheme;
///
/// let app: Router = Router::new().route("/", get(async |scheme: RequestScheme| scheme.to_string()));
/// # let _ = app;
/// assert!(RequestScheme::HTTPS.is_https());
/// ```
#[derive(Clone)]
pub struct RequestScheme(Repr);

#[derive(Clone)]
enum Repr {
    Http,
    Https,
    Other(Arc<str>),
}

impl RequestScheme {
    /// In clear.
    pub const HTTP: Self = Self(Repr::Http);
    /// By TLS.
    pub const HTTPS: Self = Self(Repr::Https);

    /// The scheme of `request`.
    pub fn of<B>(request: &Request<B>) -> Self {
        Self::find(request.extensions(), request.uri())
    }

    fn find(extensions: &Extensions, uri: &Uri) -> Self {
        if let Some(scheme) = extensions.get::<Self>() {
            return scheme.clone();
        }
        let served = extensions.get::<RequestContext>().and_then(RequestContext::connection);
        // Under `axum::serve` it is there if the program has asked for it.
        let connection = served.or_else(|| extensions.get().map(|ConnectInfo(connection)| connection));
        match connection.map(ConnectionInfo::is_https) {
            Some(true) => Self::HTTPS,
            Some(false) => Self::HTTP,
            None => uri.scheme_str().map_or(Self::HTTP, Self::new),
        }
    }

    pub(crate) fn new(text: &str) -> Self {
        Self(match text {
            "http" => Repr::Http,
            "https" => Repr::Https,
            other => Repr::Other(other.into()),
        })
    }

    /// The scheme as it was written.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Http => "http",
            Repr::Https => "https",
            Repr::Other(text) => text,
        }
    }

    /// Whether it is by TLS: `https`, or `wss` as some proxies say of a WebSocket, in any case.
    pub fn is_https(&self) -> bool {
        let is = |scheme: &str| self.as_str().eq_ignore_ascii_case(scheme);
        is("https") || is("wss")
    }
}

/// Schemes do not know case.
impl PartialEq for RequestScheme {
    fn eq(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl Eq for RequestScheme {}

impl fmt::Display for RequestScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestScheme({self})")
    }
}

impl<S: Sync> FromRequestParts<S> for RequestScheme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::find(&parts.extensions, &parts.uri))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for RequestScheme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(Some(Self::find(&parts.extensions, &parts.uri)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_counts_before_the_uri() {
        let mut request = Request::get("https://h/").body(()).unwrap();
        assert_eq!(RequestScheme::of(&request), RequestScheme::HTTPS);
        request.extensions_mut().insert(RequestScheme::HTTP);
        assert_eq!(RequestScheme::of(&request), RequestScheme::HTTP);
        for (scheme, is_https) in
            [("HTTPS", true), ("wss", true), ("WSS", true), ("http", false), ("ws", false), ("httpss", false)]
        {
            assert_eq!(RequestScheme::new(scheme).is_https(), is_https, "{scheme}");
        }
    }
}
