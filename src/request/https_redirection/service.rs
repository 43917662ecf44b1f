//! The service: passes https on, redirects the rest.

use std::num::NonZeroU16;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::header::LOCATION;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service;

use super::HttpsRedirectionLayer;
use super::layer::Target;
use crate::request::{OrAnswer, PathBase, RequestScheme};
use crate::telemetry::events;
use crate::text::percent::encode_path;
use crate::text::{host, host_name};

/// The service of [`HttpsRedirectionLayer`].
///
/// # Example
///
/// See [`HttpsRedirectionLayer`].
#[derive(Clone, Debug)]
pub struct HttpsRedirection<S> {
    pub(super) inner: S,
    pub(super) target: Target,
    pub(super) options: HttpsRedirectionLayer,
}

impl<S, B, ResBody> Service<Request<B>> for HttpsRedirection<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
    ResBody: From<&'static str>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = OrAnswer<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.target {
            _ if RequestScheme::of(&request).is_https() => {}
            Target::Nowhere => {}
            Target::Unknown => {
                if !self.options.warned.swap(true, Ordering::Relaxed) {
                    events::https_port_unknown();
                }
            }
            Target::Port(port) => return OrAnswer::answer(redirect(self.options.status, &request, port)),
        }
        OrAnswer::pass(self.inner.call(request))
    }
}

fn redirect<B, ResBody: From<&'static str>>(
    status: StatusCode,
    request: &Request<B>,
    port: NonZeroU16,
) -> Response<ResBody> {
    let mut response = Response::new(ResBody::from(""));
    match location(request, port) {
        Some(location) => {
            *response.status_mut() = status;
            response.headers_mut().insert(LOCATION, location);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

/// `None`: the request names no host, or what is none.
fn location<B>(request: &Request<B>, port: NonZeroU16) -> Option<HeaderValue> {
    let named = host::of(request.uri(), request.headers());
    let mut url = String::from("https://");
    url.push_str(&host_name::of_any_script(&named)?);
    if port.get() != 443 {
        url.push(':');
        url.push_str(&port.to_string());
    }
    // `*` and an authority have no path.
    let target = request.uri().path_and_query().filter(|target| target.path().starts_with('/'));
    let base = request.extensions().get::<PathBase>().map(PathBase::to_uri).unwrap_or_default();
    match target {
        Some(target) => {
            url.push_str(base.strip_suffix('/').unwrap_or(&base));
            url.push_str(&encode_path(target.path()));
            if let Some(query) = target.query() {
                url.push('?');
                url.push_str(query);
            }
        }
        None if base.is_empty() => url.push('/'),
        None => url.push_str(&base),
    }
    HeaderValue::try_from(url).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{Layer, ServiceExt, service_fn};

    async fn answer(layer: &HttpsRedirectionLayer, request: http::request::Builder) -> Response<String> {
        let inner =
            service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::from("passed"))));
        let Ok(response) = layer.layer(inner).oneshot(request.body(()).unwrap()).await;
        response
    }

    #[cfg(feature = "idn")]
    #[tokio::test]
    async fn goes_to_the_same_target() {
        let layer = HttpsRedirectionLayer::new().https_port(443).unwrap();
        for (uri, host, location) in [
            ("/a%2Fb?c=%20", "example.com:80", "https://example.com/a%2Fb?c=%20"),
            ("http://example.com:80/p", "", "https://example.com/p"),
            ("*", "[::1]:80", "https://[::1]/"),
            ("example.com:443", "x", "https://example.com/"),
            ("//evil.example/", "a", "https://a//evil.example/"),
            (
                "/[|]{}\\^%zz%C3%BC;,:@&=+$!*'()-_.~",
                "a",
                "https://a/%5B%7C%5D%7B%7D%5C%5E%25zz%C3%BC;,:@&=+$!*'()-_.~",
            ),
            ("/?[|]{}", "a", "https://a/?[|]{}"),
            ("/?", "a", "https://a/?"),
            ("/", "bücher.example:80", "https://xn--bcher-kva.example/"),
        ] {
            let response = answer(&layer, Request::get(uri).header("host", host)).await;
            assert_eq!(response.status(), 307);
            assert_eq!(response.headers()["location"], location);
        }
    }

    #[tokio::test]
    async fn https_passes_and_so_does_everything_without_a_port() {
        let layer = HttpsRedirectionLayer::new();
        assert_eq!(answer(&layer, Request::get("/")).await.body(), "passed");
        assert!(layer.warned.load(Ordering::Relaxed));
        let layer = layer.https_port(443).unwrap();
        assert_eq!(answer(&layer, Request::get("/").extension(RequestScheme::HTTPS)).await.body(), "passed");
        assert_eq!(answer(&layer, Request::get("https://a/")).await.body(), "passed");
    }

    #[tokio::test]
    async fn the_path_base_is_put_back() {
        let layer = HttpsRedirectionLayer::new().https_port(5001).unwrap();
        let request = Request::get("/p").header("host", "a").extension(PathBase::new("/b c/").unwrap());
        assert_eq!(answer(&layer, request).await.headers()["location"], "https://a:5001/b%20c/p");
        for (base, target, location) in [
            ("/b", "/", "https://a:5001/b/"),
            ("/b", "*", "https://a:5001/b"),
            ("/b/", "*", "https://a:5001/b/"),
        ] {
            let request =
                Request::options(target).header("host", "a").extension(PathBase::new(base).unwrap());
            assert_eq!(answer(&layer, request).await.headers()["location"], location, "{base} {target}");
        }
    }

    #[tokio::test]
    async fn nobody_is_sent_to_what_is_no_host() {
        let layer = HttpsRedirectionLayer::new().https_port(443).unwrap();
        for host in [
            "",
            ":80",
            "a:",
            "a:x",
            "::1",
            "a:1:2",
            "[::1]80",
            "a b",
            "a/b",
            "evil.test/.a",
            "u@a",
            "a?b",
            "é..a",
        ] {
            let response = answer(&layer, Request::get("/").header("host", host)).await;
            assert_eq!(response.status(), 400, "{host}");
            assert!(!response.headers().contains_key("location"), "{host}");
        }
        assert_eq!(answer(&layer, Request::get("/")).await.status(), 400);
    }
}
