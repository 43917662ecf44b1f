//! What layers around requests make of TLS.

use axum::Extension;
use axum::body::Bytes;
use kestrel_rs::request::{
    CertificateForwardingLayer, ForwardedClientCertificate, HstsLayer, HttpsRedirectionLayer, RequestScheme,
};

use super::*;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n";

fn app() -> Router {
    Router::new()
        .route("/", get(async |scheme: RequestScheme| scheme.to_string()))
        .layer(HttpsRedirectionLayer::new().https_port(443).unwrap())
        .layer(HstsLayer::new())
}

#[tokio::test]
async fn a_request_over_tls_is_https_and_gets_hsts() {
    let authority = Authority::new();
    let server = TestServer::builder(app()).tls(authority.options()).start();
    let mut stream = connect(&server, &authority.client().config(), "localhost").await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let answer = crate::support::answer(&mut stream).await;
    assert_eq!((answer.status, &*answer.body), (200, "https"));
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=2592000"));
}

#[tokio::test]
async fn a_request_in_clear_is_redirected_without_hsts() {
    let server = TestServer::new(app());
    let mut stream = server.connect().await.unwrap();
    let answer = crate::support::exchange(&mut stream, REQUEST).await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("https://example.org/")));
    assert_eq!(answer.header("strict-transport-security"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_axum_has_the_scheme_of_its_connection() {
    let authority = Authority::new();
    let endpoint = Endpoint::ip(([127, 0, 0, 1], 0)).tls(authority.options());
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    let address = listener.local_addrs()[0].socket_addr().unwrap();
    let app = app().into_make_service_with_connect_info::<ConnectionInfo>();
    let listener = listener.into_axum().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(authority.client().config());
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    assert_eq!(crate::support::answer(&mut stream).await.body, "https");
}

#[tokio::test]
async fn a_forwarded_certificate_leaves_that_of_the_connection_alone() {
    async fn seen(forwarded: Option<Extension<ForwardedClientCertificate>>, tls: TlsInfo) -> String {
        let forwarded = forwarded.map(|Extension(certificate)| certificate.der().map(Bytes::len));
        format!("{forwarded:?} {}", tls.peer_certificates().len())
    }
    let authority = Authority::new();
    let options = authority.options().client_certificates(ClientCertificates::Require);
    let app = Router::new().route("/", get(seen)).layer(CertificateForwardingLayer::new());
    let server = TestServer::builder(app).tls(options.client_trust(authority.trust())).start();
    let client = authority.client().with_certificate(&authority).config();
    let mut stream = connect(&server, &client, "localhost").await.unwrap();
    for (header, expected) in [
        ("", "None 1"),
        ("X-Client-Cert: MAMCAQE=\r\n", "Some(Some(5)) 1"),
        ("X-Client-Cert: x\r\n", "Some(None) 1"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(crate::support::answer(&mut stream).await.body, expected);
    }
}
