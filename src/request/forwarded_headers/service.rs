//! The service: rewrites the request before it passes it on.

use std::task::{Context, Poll};

use http::Request;
use tower::Service;

use super::ForwardedHeadersLayer;

/// The service of [`ForwardedHeadersLayer`].
///
/// # Example
///
/// See [`ForwardedHeadersLayer`].
#[derive(Clone, Debug)]
pub struct ForwardedHeadersService<S> {
    pub(super) inner: S,
    pub(super) options: ForwardedHeadersLayer,
}

impl<S, B> Service<Request<B>> for ForwardedHeadersService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        self.options.apply(&mut request);
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{ForwardedHeaders, PathBase, RequestScheme};
    use axum::extract::ConnectInfo;
    use std::net::SocketAddr;
    use tower::{Layer, ServiceExt, service_fn};

    async fn seen(layer: &ForwardedHeadersLayer, request: http::request::Builder) -> Request<()> {
        let inner = service_fn(async |request: Request<()>| Ok::<_, ()>(request));
        let client: SocketAddr = ([127, 0, 0, 1], 40000).into();
        layer.layer(inner).oneshot(request.extension(ConnectInfo(client)).body(()).unwrap()).await.unwrap()
    }

    fn client(request: &Request<()>) -> String {
        request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap().0.to_string()
    }

    #[tokio::test]
    async fn walks_through_known_proxies_only() {
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR)
            .forward_limit(None)
            .known_proxies([[127, 0, 0, 1].into(), [10, 0, 0, 1].into()])
            .known_networks([]);
        let request = Request::get("/").header("x-forwarded-for", "192.0.2.9, 203.0.113.1, 10.0.0.1");
        let request = seen(&layer, request).await;
        assert_eq!(client(&request), "203.0.113.1:0");
        assert_eq!(request.headers()["x-forwarded-for"], "192.0.2.9");
        assert_eq!(request.headers()["x-original-for"], "127.0.0.1:40000");
    }

    #[tokio::test]
    async fn rewrites_the_uri_of_http2() {
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::ALL);
        let request = Request::get("http://inner.example/p?q")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "outer.example")
            .header("x-forwarded-prefix", "/base");
        let request = seen(&layer, request).await;
        assert_eq!(request.uri(), "https://outer.example/p?q");
        assert_eq!(request.headers()["host"], "outer.example");
        assert_eq!(request.headers()["x-original-host"], "inner.example");
        assert!(RequestScheme::of(&request).is_https());
        assert_eq!(request.extensions().get::<PathBase>().unwrap().as_str(), "/base");
    }

    #[tokio::test]
    async fn an_authority_that_a_uri_cannot_hold_goes_to_the_header() {
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::HOST);
        let request = Request::get("http://inner.example/p").header("x-forwarded-host", "[ABCdef]");
        let request = seen(&layer, request).await;
        assert_eq!(request.headers()["host"], "[ABCdef]");
        assert_ne!(request.uri().host(), Some("inner.example"));
        assert_eq!(request.uri().path(), "/p");
    }

    #[tokio::test]
    async fn reads_the_header_of_rfc_7239() {
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO).forwarded();
        let request = Request::get("/")
            .header("forwarded", "for=_mallory;proto=http, for=\"[2001:db8::1]:80\";proto=https;host=x")
            .header("x-forwarded-for", "192.0.2.1");
        let request = seen(&layer, request).await;
        assert_eq!(client(&request), "[2001:db8::1]:80");
        assert!(RequestScheme::of(&request).is_https());
        assert_eq!(request.headers()["forwarded"], "for=_mallory;proto=http");
        assert_eq!(request.headers()["x-forwarded-for"], "192.0.2.1");
        assert!(!request.headers().contains_key("host"));
    }

    #[tokio::test]
    async fn stops_at_an_obfuscated_client() {
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR)
            .forwarded()
            .forward_limit(None)
            .trusting_anyone();
        let request = Request::get("/").header("forwarded", "for=192.0.2.1, for=_hidden, for=10.0.0.1");
        let request = seen(&layer, request).await;
        assert_eq!(client(&request), "10.0.0.1:0");
        assert_eq!(request.headers()["forwarded"], "for=192.0.2.1");
        assert_eq!(request.headers().get_all("forwarded").iter().count(), 2);
    }

    #[cfg(feature = "test-util")]
    #[tokio::test]
    async fn a_handler_finds_the_client_in_its_connection() {
        use crate::ConnectionInfo;
        use axum::{Router, routing::get};

        let whoami = async |connection: ConnectionInfo| format!("{:?}", connection.remote_addr());
        let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR).trusting_anyone();
        let server = crate::test::TestServer::new(Router::new().route("/", get(whoami)).layer(layer));
        let mut client = server.connect().await.unwrap();
        let head = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1:80\r\nConnection: close\r\n\r\n";
        client.send(head).await.unwrap();
        let answer = client.read_to_end().await.unwrap();
        assert!(answer.ends_with("Some(192.0.2.1:80)"), "{answer}");
    }
}
