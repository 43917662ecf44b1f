//! Tells browsers to come by https from now on: Strict-Transport-Security (RFC 6797).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{Entry, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};

use super::RequestScheme;
use crate::error::{Error, ErrorKind};
use crate::text::{host, host_name};

/// Adds a Strict-Transport-Security header to answers over https, unless they have one.
///
/// A browser that has seen it comes by https only, for as long as it says: whoever cannot keep that promise locks
/// their visitors out. An answer in clear never has it, nor one for an excluded host.
///
/// It stands inside [`ForwardedHeadersLayer`](super::ForwardedHeadersLayer), whose scheme and host it goes by.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`max_age`](Self::max_age) | 30 days |
/// | [`include_sub_domains`](Self::include_sub_domains) | off |
/// | [`preload`](Self::preload) | off |
/// | [`excluded_hosts`](Self::excluded_hosts) | `localhost`, `127.0.0.1`, `[::1]` |
///
/// # Differences from ASP.NET Core
///
/// The header is added to the answer, so a handler does not see it. An excluded host may be given in Unicode or in
/// punycode; there only Unicode ever matches.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::get};
/// use http::Request;
/// use kestrel_rs::request::HstsLayer;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app: Router = Router::new()
///     .route("/", get(|| async { "Hello, World!" }))
///     .layer(HstsLayer::new().max_age(Duration::from_secs(60)).include_sub_domains());
///
/// let request = Request::get("https://example.com/").body(axum::body::Body::empty()).unwrap();
/// let response = app.oneshot(request).await.unwrap();
/// assert_eq!(response.headers()["strict-transport-security"], "max-age=60; includeSubDomains");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HstsLayer {
    max_age: Duration,
    sub_domains: bool,
    preload: bool,
    /// In ASCII.
    excluded: Vec<Box<str>>,
}

impl HstsLayer {
    /// For 30 days, for this host alone.
    pub fn new() -> Self {
        Self {
            max_age: Duration::from_secs(30 * 24 * 3600),
            sub_domains: false,
            preload: false,
            excluded: ["localhost", "127.0.0.1", "[::1]"].map(Into::into).into(),
        }
    }

    /// How long a browser remembers, from its last visit on; whole seconds, the rest is cut off. Zero makes it forget.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The promise holds for every name below this host too.
    pub fn include_sub_domains(mut self) -> Self {
        self.sub_domains = true;
        self
    }

    /// Asks to be put into the list that browsers are shipped with (<https://hstspreload.org>), which is hard to leave.
    pub fn preload(mut self) -> Self {
        self.preload = true;
        self
    }

    /// The hosts whose answers do not have the header, instead of those of this machine; names without ports. One that
    /// no request can name (`https://a/`, `a:8080`) is an error.
    pub fn excluded_hosts<I>(mut self, hosts: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.excluded.clear();
        hosts.into_iter().try_fold(self, |layer, host| layer.exclude_host(host.as_ref()))
    }

    /// One more host whose answers do not have the header; an error if no request can name it.
    pub fn exclude_host(mut self, host: &str) -> Result<Self, Error> {
        let name = host_name::of_entry(host)
            .map_err(|why| Error::new(ErrorKind::Option, format!("excluded from HSTS: {why}")))?;
        self.excluded.push(name.into());
        Ok(self)
    }

    fn header(&self) -> HeaderValue {
        let seconds = self.max_age.as_secs();
        let sub_domains = if self.sub_domains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        // Digits and words.
        HeaderValue::try_from(format!("max-age={seconds}{sub_domains}{preload}"))
            .expect("it has no control characters")
    }

    fn covers<B>(&self, request: &Request<B>) -> bool {
        if !RequestScheme::of(request).is_https() {
            return false;
        }
        let named = host::of(request.uri(), request.headers());
        let name = host_name::of_any_script(&named);
        !name.is_some_and(|name| self.excluded.iter().any(|excluded| excluded.eq_ignore_ascii_case(&name)))
    }
}

impl Default for HstsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HstsLayer {
    type Service = Hsts<S>;

    fn layer(&self, inner: S) -> Hsts<S> {
        Hsts { inner, header: self.header(), options: self.clone() }
    }
}

/// The service of [`HstsLayer`].
///
/// # Example
///
/// See [`HstsLayer`].
#[derive(Clone, Debug)]
pub struct Hsts<S> {
    inner: S,
    header: HeaderValue,
    options: HstsLayer,
}

impl<S, B, ResBody> Service<Request<B>> for Hsts<S>
where
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HstsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let header = self.options.covers(&request).then(|| self.header.clone());
        HstsFuture { inner: self.inner.call(request), header }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`Hsts`].
    #[derive(Debug)]
    pub struct HstsFuture<F> {
        #[pin]
        inner: F,
        header: Option<HeaderValue>,
    }
}

impl<F, B, E> Future for HstsFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(header) = this.header.take()
            && let Entry::Vacant(entry) = response.headers_mut().entry(STRICT_TRANSPORT_SECURITY)
        {
            entry.insert(header);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    async fn header(layer: &HstsLayer, request: http::request::Builder) -> Option<String> {
        let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
        let Ok(response) = layer.layer(inner).oneshot(request.body(()).unwrap()).await;
        response.headers().get(STRICT_TRANSPORT_SECURITY).map(|value| value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn only_answers_over_https_have_it() {
        let layer = HstsLayer::new();
        let value =
            header(&layer, Request::get("/").header("host", "a").extension(RequestScheme::HTTPS)).await;
        assert_eq!(value.as_deref(), Some("max-age=2592000"));
        assert_eq!(header(&layer, Request::get("/").header("host", "a")).await, None);
        let layer = layer.max_age(Duration::from_millis(1999)).include_sub_domains().preload();
        let value = header(&layer, Request::get("https://a/")).await;
        assert_eq!(value.as_deref(), Some("max-age=1; includeSubDomains; preload"));
    }

    #[cfg(feature = "idn")]
    #[tokio::test]
    async fn excluded_hosts_do_not_have_it() {
        let layer = HstsLayer::new().exclude_host("bücher.example").unwrap();
        for host in ["LOCALHOST:5001", "127.0.0.1", "[::1]:1", "xn--bcher-kva.example"] {
            let request = Request::get("/").header("host", host).extension(RequestScheme::HTTPS);
            assert_eq!(header(&layer, request).await, None, "{host}");
        }
        let layer = layer.excluded_hosts(["a"]).unwrap();
        assert!(header(&layer, Request::get("https://localhost/")).await.is_some());
        for (entry, meant) in [("é..a", "one name"), ("https://a/", "\"a\""), ("a:80", "\"a\""), ("*.a", "*")]
        {
            let error = layer.clone().exclude_host(entry).unwrap_err();
            assert!(error.is_option() && error.to_string().contains(meant), "{entry}: {error}");
        }
    }

    #[tokio::test]
    async fn a_handlers_own_header_stays() {
        let inner = service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(
                Response::builder().header("strict-transport-security", "max-age=5").body(()).unwrap(),
            )
        });
        let request = Request::get("https://a/").body(()).unwrap();
        let Ok(response) = HstsLayer::new().layer(inner).oneshot(request).await;
        assert_eq!(response.headers()["strict-transport-security"], "max-age=5");
    }
}
