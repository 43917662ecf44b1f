//! The service: lets a request pass, or answers it.

use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service;

use super::HostFilteringLayer;
use crate::request::OrAnswer;
use crate::telemetry::events;
use crate::text::host;

/// The service of [`HostFilteringLayer`].
///
/// # Example
///
/// See [`HostFilteringLayer`].
#[derive(Clone, Debug)]
pub struct HostFiltering<S> {
    pub(super) inner: S,
    pub(super) options: HostFilteringLayer,
}

impl<S, B, ResBody> Service<Request<B>> for HostFiltering<S>
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
        if self.options.allows(&request) {
            OrAnswer::pass(self.inner.call(request))
        } else {
            OrAnswer::answer(self.options.refusal())
        }
    }
}

impl HostFilteringLayer {
    fn allows<B>(&self, request: &Request<B>) -> bool {
        let host = host::of(request.uri(), request.headers());
        if host.is_empty() {
            if !self.empty {
                events::host_missing();
            }
            return self.empty;
        }
        let header = host::of_header(request.headers());
        // Whatever a handler reads its host from has been allowed.
        let allowed = self.hosts.contains(&host)
            && (header.is_empty() || header == host || self.hosts.contains(&header));
        if !allowed {
            events::host_not_allowed(&host);
        }
        allowed
    }

    fn refusal<B: From<&'static str>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(if self.message { MESSAGE } else { "" }));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        if self.message {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        }
        response
    }
}

/// As ASP.NET Core and HTTP.sys say it, octet for octet.
const MESSAGE: &str = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n\
<HTML><HEAD><TITLE>Bad Request</TITLE>\r\n\
<META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></ HEAD >\r\n\
<BODY><h2>Bad Request - Invalid Hostname</h2>\r\n\
<hr><p>HTTP Error 400. The request hostname is invalid.</p>\r\n\
</BODY></HTML>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::AllowedHosts;
    use tower::{Layer, ServiceExt, service_fn};

    async fn status(layer: &HostFilteringLayer, request: http::request::Builder) -> StatusCode {
        let inner = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::from("passed"))));
        layer.layer(inner).oneshot(request.body(()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn refuses_other_hosts_of_header_and_authority() {
        let layer = HostFilteringLayer::new(AllowedHosts::new(["a.example"]).unwrap());
        let get = |uri| Request::get(uri);
        assert_eq!(status(&layer, get("/").header("host", "a.example:80")).await, 200);
        assert_eq!(status(&layer, get("/").header("host", "b.example")).await, 400);
        assert_eq!(status(&layer, get("http://a.example/")).await, 200);
        assert_eq!(status(&layer, get("http://b.example/")).await, 400);
        assert_eq!(status(&layer, get("http://a.example/").header("host", "b.example")).await, 400);
        assert_eq!(status(&layer, get("http://b.example/").header("host", "a.example")).await, 400);
        let twice = get("/").header("host", "a.example").header("host", "a.example");
        assert_eq!(status(&layer, twice).await, 400);
    }

    #[tokio::test]
    async fn a_request_without_a_host_passes_unless_refused() {
        let layer = HostFilteringLayer::new(AllowedHosts::any());
        assert_eq!(status(&layer, Request::get("/")).await, 200);
        let layer = layer.refuse_empty_hosts();
        assert_eq!(status(&layer, Request::get("/")).await, 400);
        assert_eq!(status(&layer, Request::get("/").header("host", "")).await, 400);
    }
}
