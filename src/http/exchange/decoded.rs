//! The head of a request whose fields are apart already, as HTTP/2 and HTTP/3 bring it (RFC 9113 section 8.3, RFC 9114
//! section 4.3): held to the rules of a head of HTTP/1.
//!
//! What makes a block of fields malformed by itself (upper case, a pseudo-header too many, fields of a connection) was
//! refused by whoever decoded it.
//!
//! # Differences from Kestrel
//!
//! Rows `malformed-request-scope`, `field-too-large`, `target-octets` of docs/STRICTNESS.md: one request is refused
//! where Kestrel ends the connection.

use axum::extract::OriginalUri;
use http::header::{CONTENT_LENGTH, COOKIE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};

use super::rejection::Rejection;
use super::target;
use crate::http::rules::HeadRules;
use crate::text::host;

/// What becomes of a request that is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Refusal {
    /// It gets a bare answer.
    Answer(Rejection),
    /// Its stream is reset as malformed.
    Reset(Rejection),
    /// Its connection ends: it is far over what any client may send.
    End(Rejection),
}

impl Refusal {
    pub(in crate::http) fn rejection(self) -> Rejection {
        match self {
            Self::Answer(rejection) | Self::Reset(rejection) | Self::End(rejection) => rejection,
        }
    }
}

/// Judges a request, and makes of it what the app sees.
pub(in crate::http) fn take<B>(
    request: &mut Request<B>,
    rules: &HeadRules,
    is_https: bool,
) -> Result<(), Refusal> {
    let fields = request.headers().len() + pseudo_headers(request);
    if fields > rules.max_headers {
        let far = fields / 2 > rules.max_headers;
        let rejection = Rejection::TooManyHeaders;
        return Err(if far { Refusal::End(rejection) } else { Refusal::Answer(rejection) });
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > rules.max_field {
        return Err(Refusal::Answer(Rejection::HeadersExceedMaxTotalSize));
    }
    check_fields(request.headers(), rules)?;
    check_target(request, rules, is_https).map_err(Refusal::Reset)?;
    take_authority(request).map_err(Refusal::Reset)?;
    join_cookies(request.headers_mut());
    normalize_path(request, rules);
    Ok(())
}

/// Judges the trailers of a request with so many fields before its body: they count to the same limits.
pub(in crate::http) fn check_trailers(
    trailers: &HeaderMap,
    before: usize,
    rules: &HeadRules,
) -> Result<(), Rejection> {
    if trailers.len() + before > rules.max_headers {
        return Err(Rejection::TooManyHeaders);
    }
    match check_fields(trailers, rules) {
        Ok(()) => Ok(()),
        Err(Refusal::Answer(rejection) | Refusal::Reset(rejection) | Refusal::End(rejection)) => {
            Err(rejection)
        }
    }
}

/// How many fields a request has that are not among its headers.
fn pseudo_headers<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let connect_protocol = request.extensions().get::<h2::ext::Protocol>().is_some();
    let path = uri.path_and_query().is_some();
    1 + [uri.scheme().is_some(), uri.authority().is_some(), path, connect_protocol]
        .into_iter()
        .filter(|given| *given)
        .count()
}

/// Sizes and octets of the fields.
fn check_fields(headers: &HeaderMap, rules: &HeadRules) -> Result<(), Refusal> {
    for (name, value) in headers {
        if name.as_str().len() > rules.max_field || value.len() > rules.max_field {
            return Err(Refusal::Answer(Rejection::HeadersExceedMaxTotalSize));
        }
        let octets = value.as_bytes();
        if rules.utf8_values && !octets.is_ascii() && std::str::from_utf8(octets).is_err() {
            return Err(Refusal::Reset(Rejection::MalformedHeaders));
        }
    }
    if headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Refusal::Reset(Rejection::MultipleContentLengths));
    }
    Ok(())
}

/// What stands in the request line of HTTP/1.
fn check_target<B>(request: &Request<B>, rules: &HeadRules, is_https: bool) -> Result<(), Rejection> {
    let (method, uri) = (request.method(), request.uri());
    let (scheme, authority) = (uri.scheme_str(), uri.authority());
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    // As Kestrel counts them: without the spaces between.
    let line = method.as_str().len()
        + scheme.map_or(0, str::len)
        + authority.map_or(0, |authority| authority.as_str().len())
        + target.len();
    if line > rules.max_line {
        return Err(Rejection::RequestLineTooLong);
    }
    if scheme.is_some_and(|scheme| scheme != if is_https { "https" } else { "http" }) {
        return Err(Rejection::InvalidRequestTarget);
    }
    match target {
        "" if *method == Method::CONNECT => Ok(()),
        "*" if *method == Method::OPTIONS => Ok(()),
        _ if target.starts_with('/') => target::path_and_query(target.as_bytes(), rules.strict).map(|_| ()),
        _ => Err(Rejection::InvalidRequestTarget),
    }
}

/// One authority for the handler: `:authority` takes the place of any Host (RFC 9113 section 8.3.1).
fn take_authority<B>(request: &mut Request<B>) -> Result<(), Rejection> {
    if let Some(authority) = request.uri().authority() {
        if !host::is_valid(authority.as_str().as_bytes()) {
            return Err(Rejection::InvalidHostHeader);
        }
        let authority =
            HeaderValue::from_str(authority.as_str()).map_err(|_| Rejection::InvalidHostHeader)?;
        request.headers_mut().insert(HOST, authority);
        return Ok(());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(Rejection::MultipleHostHeaders),
        (Some(host), None) if !host.is_empty() && !host::is_valid(host.as_bytes()) => {
            Err(Rejection::InvalidHostHeader)
        }
        // As Kestrel: neither is no fault.
        (Some(_) | None, None) => Ok(()),
    }
}

/// One `Cookie`, as over HTTP/1 (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    // What was made of good values by semicolons and spaces is one.
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

fn normalize_path<B>(request: &mut Request<B>, rules: &HeadRules) {
    if rules.normalize_paths
        && let Some(uri) = target::normalize(request.uri())
    {
        let original = std::mem::replace(request.uri_mut(), uri);
        request.extensions_mut().insert(OriginalUri(original));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{HeaderValues, Http2Limits, Limits};

    fn rules() -> HeadRules {
        HeadRules::new(&Limits::default())
    }

    fn request(uri: &str) -> Request<()> {
        Request::builder().uri(uri).body(()).unwrap()
    }

    fn refused(mut request: Request<()>, rules: &HeadRules) -> Option<Refusal> {
        take(&mut request, rules, false).err()
    }

    #[test]
    fn the_authority_takes_the_place_of_every_host() {
        let mut both = request("http://a.example/");
        both.headers_mut().append(HOST, HeaderValue::from_static("b"));
        both.headers_mut().append(HOST, HeaderValue::from_static("c/d"));
        assert_eq!(take(&mut both, &rules(), false), Ok(()));
        assert_eq!(both.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["a.example"]);
        let user = request("http://user@a.example/");
        assert_eq!(refused(user, &rules()), Some(Refusal::Reset(Rejection::InvalidHostHeader)));
    }

    #[test]
    fn a_host_alone_is_one_and_good() {
        let with = |hosts: &[&'static str]| {
            let mut request = request("/");
            for host in hosts {
                request.headers_mut().append(HOST, HeaderValue::from_static(host));
            }
            refused(request, &rules())
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&["a:81"]), None);
        assert_eq!(with(&["a/b"]), Some(Refusal::Reset(Rejection::InvalidHostHeader)));
        assert_eq!(with(&["a", "a"]), Some(Refusal::Reset(Rejection::MultipleHostHeaders)));
    }

    #[test]
    fn the_scheme_is_that_of_the_connection() {
        assert_eq!(
            refused(request("https://a/"), &rules()),
            Some(Refusal::Reset(Rejection::InvalidRequestTarget))
        );
        assert_eq!(take(&mut request("https://a/"), &rules(), true), Ok(()));
    }

    #[test]
    fn a_path_is_judged_and_written_as_over_http1() {
        for target in ["http://a/a%00", "http://a/%00?"] {
            assert_eq!(
                refused(request(target), &rules()),
                Some(Refusal::Reset(Rejection::InvalidRequestTarget))
            );
        }
        let mut dots = request("http://a/a/../%62?c=/../d");
        assert_eq!(take(&mut dots, &rules(), false), Ok(()));
        assert_eq!(dots.uri(), "http://a/b?c=/../d");
        assert_eq!(dots.extensions().get::<OriginalUri>().unwrap().0, "http://a/a/../%62?c=/../d");
        let as_sent = HeadRules::new(&Limits::default().without_path_normalization());
        let mut dots = request("http://a/a/../%62");
        assert_eq!(take(&mut dots, &as_sent, false), Ok(()));
        assert_eq!(dots.uri(), "http://a/a/../%62");
    }

    #[test]
    fn holds_the_limits_to_the_field() {
        let with = |fields: usize| {
            let mut request = request("http://a/");
            for _ in 0..fields {
                request.headers_mut().append("x", HeaderValue::from_static("1"));
            }
            refused(request, &rules())
        };
        assert_eq!(with(96), None); // and four pseudo-headers
        assert_eq!(with(97), Some(Refusal::Answer(Rejection::TooManyHeaders)));
        assert_eq!(with(197), Some(Refusal::Answer(Rejection::TooManyHeaders)));
        assert_eq!(with(198), Some(Refusal::End(Rejection::TooManyHeaders)));

        let line = |octets: usize| refused(request(&format!("http://a/{}", "a".repeat(octets))), &rules());
        assert_eq!(line(8192 - "GEThttpa/".len()), None);
        assert_eq!(line(8193 - "GEThttpa/".len()), Some(Refusal::Reset(Rejection::RequestLineTooLong)));

        let limits = Limits::default().http2(Http2Limits::default().max_request_header_field_size(10));
        let value = |value: &'static str| {
            let mut request = request("/");
            request.headers_mut().insert("x", HeaderValue::from_static(value));
            refused(request, &HeadRules::new(&limits))
        };
        assert_eq!(value("1234567890"), None);
        assert_eq!(value("12345678901"), Some(Refusal::Answer(Rejection::HeadersExceedMaxTotalSize)));
    }

    #[test]
    fn values_are_utf8_unless_any_octet_is_wanted() {
        let latin1 = || {
            let mut request = request("/");
            request.headers_mut().insert("x", HeaderValue::from_bytes(b"caf\xe9").unwrap());
            request
        };
        assert_eq!(refused(latin1(), &rules()), Some(Refusal::Reset(Rejection::MalformedHeaders)));
        let octets = HeadRules::new(&Limits::default().header_values(HeaderValues::Octets));
        assert_eq!(refused(latin1(), &octets), None);
    }

    #[test]
    fn cookies_are_one_field() {
        let mut request = request("/");
        for crumb in ["a=1", "b=2", "c=3"] {
            request.headers_mut().append(COOKIE, HeaderValue::from_static(crumb));
        }
        assert_eq!(take(&mut request, &rules(), false), Ok(()));
        assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }
}
