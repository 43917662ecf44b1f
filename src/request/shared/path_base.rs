//! The part of the path that a proxy took off.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::error::{Error, ErrorKind};
use crate::text::percent::{decode_path, encode_path};

/// What stands before the path of a request in the eyes of the client: a proxy took it off and said so in
/// `X-Forwarded-Prefix`.
///
/// An app puts it before the paths of the links that it writes. It is decoded, as ASP.NET Core's `PathBase`:
/// `/foo bar`; [`to_uri`](Self::to_uri) gives it as it stands in a link. Empty without such a proxy.
///
/// # Example
///
/// ```
/// use kestrel_rs::request::PathBase;
///
/// async fn link(base: PathBase) -> String {
///     format!("<a href='{}/about'>about</a>", base.to_uri())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(link));
/// assert_eq!(PathBase::new("/foo bar")?.to_uri(), "/foo%20bar");
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathBase(Option<Arc<str>>);

impl PathBase {
    /// Of a decoded path, which is empty or begins with a slash; an error otherwise.
    pub fn new(path: &str) -> Result<Self, Error> {
        match path.as_bytes().first() {
            None => Ok(Self(None)),
            Some(b'/') => Ok(Self(Some(path.into()))),
            Some(_) => {
                let message = format!("the path base {path:?} does not begin with a slash");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }

    /// Of a prefix as it stands in a header. `None` if it is none, or holds an encoded NUL.
    pub(crate) fn from_header(value: &[u8]) -> Option<Self> {
        if value.first() != Some(&b'/') {
            return None;
        }
        let decoded = decode_path(value)?;
        Some(Self(Some(decoded.into())))
    }

    /// The decoded path; empty, or it begins with a slash.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The path as it stands in a URI.
    pub fn to_uri(&self) -> String {
        encode_path(self.as_str())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for PathBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for PathBase {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for PathBase {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_encodes_again() {
        for (header, path, uri) in [
            ("/foo%20bar", "/foo bar", "/foo%20bar"),
            ("/a%2Fb", "/a%2Fb", "/a%2Fb"),
            ("/%C3%BC", "/ü", "/%C3%BC"),
            ("/%zz", "/%zz", "/%25zz"),
            ("/%FF", "/%FF", "/%FF"),
            ("/%C3x", "/%C3x", "/%C3x"),
            ("/%E2%82%ACx", "/€x", "/%E2%82%ACx"),
        ] {
            let base = PathBase::from_header(header.as_bytes()).unwrap();
            assert_eq!((base.as_str(), &*base.to_uri()), (path, uri), "{header}");
        }
        assert_eq!(PathBase::from_header(b"/%00"), None);
        assert_eq!(PathBase::from_header(b"x"), None);
        assert!(PathBase::new("x").unwrap_err().is_option());
    }
}
