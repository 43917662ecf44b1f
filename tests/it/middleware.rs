//! The layers that are for you to add, inside the default stack, over both versions of HTTP.

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{Method, Request, Response, Version};
use kestrel_rs::ConnectionInfo;
use kestrel_rs::request::{
    AllowedHosts, CertificateForwardingLayer, ForwardedClientCertificate, ForwardedHeaders,
    ForwardedHeadersLayer, HostFilteringLayer, HstsLayer, HttpMethodOverrideLayer, HttpsRedirectionLayer,
    RequestScheme,
};
use kestrel_rs::test::TestServer;
use tower::{Layer, ServiceBuilder};

use crate::support::Events;

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

async fn what(method: Method, connection: ConnectionInfo, scheme: RequestScheme) -> String {
    format!("{method} {} {scheme}", connection.remote_addr().unwrap().ip())
}

async fn certificate(certificate: Option<axum::Extension<ForwardedClientCertificate>>) -> String {
    certificate.and_then(|found| found.0.der().map(Bytes::len)).unwrap_or_default().to_string()
}

fn server() -> TestServer {
    let hosts = AllowedHosts::new(["localhost", "*.example.com"]).unwrap();
    let app = Router::new().route("/", any(what)).route("/certificate", get(certificate)).layer(
        ServiceBuilder::new()
            .layer(ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO))
            .layer(CertificateForwardingLayer::new())
            .layer(HostFilteringLayer::new(hosts))
            .layer(HstsLayer::new())
            .layer(HttpsRedirectionLayer::new().https_port(443).unwrap()),
    );
    TestServer::new(HttpMethodOverrideLayer::new().layer(app))
}

async fn ask(version: Version, host: &str, path: &str, headers: &[(&str, &str)]) -> Response<Bytes> {
    let (target, host_header) = match version {
        Version::HTTP_2 => (format!("http://{host}{path}"), None),
        _ => (path.to_owned(), Some(host)),
    };
    let mut request = Request::builder().version(version).uri(target);
    if let Some(host) = host_header {
        request = request.header("host", host);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server().request(request.body(Body::empty()).unwrap()).await.unwrap()
}

const SECURE: (&str, &str) = ("x-forwarded-proto", "https");

#[tokio::test(start_paused = true)]
async fn a_host_that_is_not_allowed_is_refused() {
    for version in BOTH {
        assert_eq!(ask(version, "evil.test", "/", &[SECURE]).await.status(), 400);
        assert_eq!(ask(version, "a.example.com", "/", &[SECURE]).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_says_who_the_client_is_and_how_it_came() {
    for version in BOTH {
        let answer = ask(version, "localhost", "/", &[SECURE, ("x-forwarded-for", "203.0.113.7")]).await;
        assert_eq!(answer.body(), "GET 203.0.113.7 https");
    }
}

#[tokio::test(start_paused = true)]
async fn plain_requests_are_sent_on_and_secure_ones_are_told_to_stay() {
    for version in BOTH {
        let plain = ask(version, "a.example.com", "/?q", &[]).await;
        assert_eq!(plain.status(), 307);
        assert_eq!(plain.headers()["location"], "https://a.example.com/?q");
        assert!(!plain.headers().contains_key("strict-transport-security"));
        let secure = ask(version, "a.example.com", "/", &[SECURE]).await;
        assert_eq!(secure.headers()["strict-transport-security"], "max-age=2592000");
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_comes_in_a_header() {
    let pem = include_str!("../reference/facts/certs/ecdsa.pem");
    let base64: String = pem.lines().skip(1).take_while(|line| !line.starts_with("-----")).collect();
    for version in BOTH {
        let header = ("x-client-cert", base64.as_str());
        assert_ne!(ask(version, "localhost", "/certificate", &[SECURE, header]).await.body(), "0");
        assert_eq!(ask(version, "localhost", "/certificate", &[SECURE]).await.body(), "0");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_may_be_another_method() {
    for version in BOTH {
        let request = Request::post("http://localhost/").version(version).header("host", "localhost");
        let request = request.header(SECURE.0, SECURE.1).header("x-http-method-override", "DELETE");
        let target = if version == Version::HTTP_2 { "http://localhost/" } else { "/" };
        let answer = server().request(request.uri(target).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.body(), "DELETE 127.0.0.1 https");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_became_a_head_is_answered_as_a_post() {
    let app = Router::new()
        .route("/", any(what))
        .route("/length", any(|| async { ([("content-length", "1000")], Body::empty()) }));
    let servers =
        [(HttpMethodOverrideLayer::new(), ""), (HttpMethodOverrideLayer::form_field("m"), "m=HEAD")]
            .map(|(layer, form)| (TestServer::new(layer.layer(app.clone())), form));
    let events = Events::record();
    for (server, form) in &servers {
        for version in BOTH {
            for path in ["/", "/length"] {
                let target = if version == Version::HTTP_2 { format!("http://a{path}") } else { path.into() };
                let request = Request::post(target)
                    .version(version)
                    .header("host", "a")
                    .header("x-http-method-override", "HEAD")
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::from(*form))
                    .unwrap();
                let answer = server.request(request).await.unwrap();
                assert_eq!(
                    (answer.status().as_u16(), &**answer.body()),
                    (200, &b""[..]),
                    "{version:?} {path}"
                );
                assert_eq!(answer.headers()["content-length"], "0");
            }
        }
    }
    events.none_above_debug();
}
