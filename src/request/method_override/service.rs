//! The service: changes the method, for which it may have to read the body first.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::Service;

use super::HttpMethodOverrideLayer;
use super::form::Kind;
use crate::error::BoxError;
use crate::request::{BodyError, OrAnswer};
use crate::text::lines::joined;

/// The service of [`HttpMethodOverrideLayer`].
///
/// # Example
///
/// See [`HttpMethodOverrideLayer`].
#[derive(Clone, Debug)]
pub struct HttpMethodOverride<S> {
    pub(super) inner: S,
    pub(super) options: HttpMethodOverrideLayer,
}

const HEADER: HeaderName = HeaderName::from_static("x-http-method-override");

impl<S, B> Service<Request<B>> for HttpMethodOverride<S>
where
    S: Service<Request<Body>, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = HttpMethodOverrideFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut request = request.map(Body::new);
        if !request.method().as_str().eq_ignore_ascii_case("POST") {
            return HttpMethodOverrideFuture::direct(OrAnswer::pass(self.inner.call(request)));
        }
        if let Some(field) = &self.options.field {
            let is_empty = request.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0");
            let kind = Kind::of(&joined(request.headers(), &CONTENT_TYPE));
            let Some(kind) = kind.filter(|_| !is_empty) else {
                return HttpMethodOverrideFuture::direct(OrAnswer::pass(self.inner.call(request)));
            };
            // The one that is ready is the one to call.
            let clone = self.inner.clone();
            let inner = std::mem::replace(&mut self.inner, clone);
            return HttpMethodOverrideFuture::form(read(
                inner,
                request,
                kind,
                field.clone(),
                self.options.max_form_size,
            ));
        }
        let method = joined(request.headers(), &HEADER).into_owned();
        match replace(&mut request, &method) {
            Ok(now) => HttpMethodOverrideFuture::changed(self.inner.call(request), now),
            Err(status) => HttpMethodOverrideFuture::direct(OrAnswer::answer(status.into_response())),
        }
    }
}

/// What a request that came as a POST is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Head,
    Other,
}

impl Now {
    /// What a handler says of the body that is left out of an answer to HEAD is not true of the answer to a POST, which
    /// has one.
    fn answer(self, response: &mut Response) {
        if self == Self::Head {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
    }
}

/// Nothing is no other method, and what comes with a path opens no tunnel.
fn replace(request: &mut Request<Body>, method: &[u8]) -> Result<Now, StatusCode> {
    if !method.is_empty() {
        let method = Method::from_bytes(method).ok().filter(|method| *method != Method::CONNECT);
        *request.method_mut() = method.ok_or(StatusCode::BAD_REQUEST)?;
    }
    Ok(if request.method() == Method::HEAD { Now::Head } else { Now::Other })
}

async fn read<S>(
    mut inner: S,
    request: Request<Body>,
    kind: Kind,
    field: Arc<str>,
    max_size: usize,
) -> Result<Response, S::Error>
where
    S: Service<Request<Body>, Response = Response>,
{
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, max_size).collect().await {
        Ok(body) => body,
        Err(error) => return Ok(status(&*error).into_response()),
    };
    let trailers = body.trailers().cloned();
    let body = body.to_bytes();
    let method = kind.value(&body, &field);
    let body = http_body_util::Full::new(body).with_trailers(async move { trailers.map(Ok) });
    let mut request = Request::from_parts(parts, Body::new(body));
    match method.ok_or(StatusCode::BAD_REQUEST).and_then(|method| replace(&mut request, &method)) {
        Ok(now) => {
            let mut response = inner.call(request).await?;
            now.answer(&mut response);
            Ok(response)
        }
        Err(status) => Ok(status.into_response()),
    }
}

fn status(error: &(dyn std::error::Error + 'static)) -> StatusCode {
    let too_large = std::iter::successors(Some(error), |error| error.source())
        .any(<dyn std::error::Error>::is::<LengthLimitError>);
    if too_large {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    BodyError::find(error).and_then(BodyError::status).unwrap_or(StatusCode::BAD_REQUEST)
}

pin_project_lite::pin_project! {
    /// The future of [`HttpMethodOverride`].
    pub struct HttpMethodOverrideFuture<F, E> {
        #[pin]
        state: OverrideState<F, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = OverrideStateProj]
    enum OverrideState<F, E> {
        Direct { #[pin] inner: OrAnswer<F, Body>, now: Now },
        Form { reading: Reading<E> },
    }
}

type Reading<E> = Pin<Box<dyn Future<Output = Result<Response, E>> + Send>>;

impl<F, E> HttpMethodOverrideFuture<F, E> {
    fn direct(inner: OrAnswer<F, Body>) -> Self {
        Self { state: OverrideState::Direct { inner, now: Now::Other } }
    }

    fn changed(inner: F, now: Now) -> Self {
        Self { state: OverrideState::Direct { inner: OrAnswer::pass(inner), now } }
    }

    fn form(reading: impl Future<Output = Result<Response, E>> + Send + 'static) -> Self {
        Self { state: OverrideState::Form { reading: Box::pin(reading) } }
    }
}

impl<F, E> Future for HttpMethodOverrideFuture<F, E>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            OverrideStateProj::Direct { inner, now } => inner.poll(cx).map_ok(|mut response| {
                now.answer(&mut response);
                response
            }),
            OverrideStateProj::Form { reading } => reading.as_mut().poll(cx),
        }
    }
}

impl<F, E> std::fmt::Debug for HttpMethodOverrideFuture<F, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpMethodOverrideFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use tower::{Layer, ServiceExt, service_fn};

    /// The status, and the method and body that the handler saw.
    async fn answer(layer: &HttpMethodOverrideLayer, request: Request<Body>) -> (u16, String) {
        let inner = service_fn(async |request: Request<Body>| {
            let method = request.method().to_string();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(format!("{method} {}", String::from_utf8_lossy(&body)).into_response())
        });
        let Ok(response) = layer.layer(inner).oneshot(request).await;
        let status = response.status().as_u16();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap())
    }

    fn form(content_type: &str, body: &'static str) -> Request<Body> {
        Request::post("/").header("content-type", content_type).body(body.into()).unwrap()
    }

    #[tokio::test]
    async fn the_header_counts_on_post() {
        let layer = HttpMethodOverrideLayer::new();
        let request = |method, value| {
            Request::builder().method(method).header(HEADER, value).body(Body::from("body")).unwrap()
        };
        assert_eq!(answer(&layer, request("POST", "DELETE")).await, (200, "DELETE body".into()));
        assert_eq!(answer(&layer, request("POST", "")).await, (200, "POST body".into()));
        assert_eq!(answer(&layer, request("GET", "DELETE")).await, (200, "GET body".into()));
        for refused in ["a b", "PUT,DELETE", "CONNECT"] {
            assert_eq!(answer(&layer, request("POST", refused)).await.0, 400, "{refused}");
        }
        let mut lines = request("POST", "");
        lines.headers_mut().append(HEADER, http::HeaderValue::from_static("DELETE"));
        assert_eq!(answer(&layer, lines).await, (200, "DELETE body".into()));
    }

    #[tokio::test]
    async fn a_form_that_cannot_be_read_is_answered() {
        let layer = HttpMethodOverrideLayer::form_field("_method");
        assert_eq!(answer(&layer, form("multipart/form-data", "--b")).await.0, 400);
        let mut nothing = form("multipart/form-data", "");
        assert_eq!(answer(&layer, nothing).await.0, 400);
        nothing = form("multipart/form-data", "");
        nothing.headers_mut().insert(CONTENT_LENGTH, 0.into());
        assert_eq!(answer(&layer, nothing).await, (200, "POST ".into()));
    }

    #[tokio::test]
    async fn the_field_counts_and_the_body_is_handed_on() {
        let layer = HttpMethodOverrideLayer::form_field("_method");
        let urlencoded = "application/x-www-form-urlencoded; charset=utf-8";
        let seen = answer(&layer, form(urlencoded, "a=1&%5FMETHOD=DELETE")).await;
        assert_eq!(seen, (200, "DELETE a=1&%5FMETHOD=DELETE".into()));
        let seen = answer(&layer, form("text/plain", "_method=DELETE")).await;
        assert_eq!(seen, (200, "POST _method=DELETE".into()));
        let mut lines = form("", "_method=DELETE");
        lines.headers_mut().append("content-type", http::HeaderValue::from_static(urlencoded));
        assert_eq!(answer(&layer, lines).await, (200, "DELETE _method=DELETE".into()));
        assert_eq!(answer(&layer, form(urlencoded, "_method=PUT&_method=DELETE")).await.0, 400);
    }

    #[tokio::test]
    async fn a_form_that_is_too_large_is_answered() {
        let layer = HttpMethodOverrideLayer::form_field("m").max_form_size(3);
        assert_eq!(answer(&layer, form("application/x-www-form-urlencoded", "m=PUT")).await.0, 413);
        assert_eq!(
            answer(&layer, form("application/x-www-form-urlencoded", "m=A")).await,
            (200, "A m=A".into())
        );
    }
}
