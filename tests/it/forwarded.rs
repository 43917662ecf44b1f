//! Who is believed what they say of a client, and what of it.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request};
use axum::routing::get;
use kestrel_rs::connection::{ConnectionInfo, ProxyProtocolLayer};
use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer, IpNetwork, PathBase, RequestScheme};
use kestrel_rs::test::TestServer;
use kestrel_rs::{Endpoint, KestrelListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tower::{Layer, ServiceExt, service_fn};

use crate::frames::h2_client_over;

const FORWARDED: &str = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7:80\r\nForwarded: for=203.0.113.7\r\nConnection: close\r\n\r\n";

/// The client of a request, as far as handlers are told it.
async fn who(request: Request<Body>) -> String {
    let extensions = request.extensions();
    let address = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let connection = extensions.get::<ConnectInfo<ConnectionInfo>>();
    let connection = connection.and_then(|info| info.0.remote_addr()).map(|address| address.ip());
    format!("{address:?} {connection:?}")
}

fn app(layer: ForwardedHeadersLayer) -> Router {
    Router::new().route("/", get(who)).layer(layer)
}

fn layer() -> ForwardedHeadersLayer {
    ForwardedHeadersLayer::new(ForwardedHeaders::FOR)
}

/// Of somebody else's proxy.
fn strangers() -> ForwardedHeadersLayer {
    layer().known_proxies(["10.0.0.1".parse().unwrap()]).known_networks([])
}

async fn ask(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) -> String {
    stream.write_all(FORWARDED.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.rsplit("\r\n\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn where_no_address_is_known_nobody_is_believed() {
    for (layer, expected) in [
        (layer(), "None None"),
        (layer().forwarded(), "None None"),
        (strangers(), "None None"),
        (layer().trusting_anyone(), "Some(203.0.113.7) None"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(axum::serve(listener, app(layer)).into_future());
        assert_eq!(ask(tokio::net::TcpStream::connect(address).await.unwrap()).await, expected);
        server.abort();
    }
}

#[tokio::test]
async fn under_axum_the_connection_says_who_forwards() {
    for (layer, expected) in [
        (layer(), "Some(203.0.113.7) Some(203.0.113.7)"),
        (strangers(), "None Some(127.0.0.1)"),
        (strangers().forwarded(), "None Some(127.0.0.1)"),
    ] {
        let listener = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
        let kestrel_rs::listener::BoundAddr::Tcp(address) = listener.local_addrs()[0] else { panic!("TCP") };
        let app = app(layer).into_make_service_with_connect_info::<ConnectionInfo>();
        let server = tokio::spawn(axum::serve(listener.into_axum().unwrap(), app).into_future());
        assert_eq!(ask(tokio::net::TcpStream::connect(address).await.unwrap()).await, expected);
        server.abort();
    }
}

#[tokio::test]
async fn a_peer_on_a_unix_socket_is_believed() {
    let path = std::env::temp_dir().join(format!("kestrel-rs-forwarded-{}.sock", std::process::id()));
    for proxied in [false, true] {
        let mut endpoint = Endpoint::unix(&path);
        if proxied {
            endpoint = endpoint.layer(ProxyProtocolLayer::trusting(["10.0.0.0/8"]).unwrap());
        }
        let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
        let server = tokio::spawn(kestrel_rs::serve(app(strangers())).listener(listener).into_future());
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        if proxied {
            stream.write_all(b"PROXY UNKNOWN\r\n").await.unwrap();
        }
        assert_eq!(ask(stream).await, "Some(203.0.113.7) None");
        server.abort();
        let _ = server.await;
    }
}

/// A transport whose addresses are numbers.
struct Numbered(tokio::sync::mpsc::Receiver<DuplexStream>);

impl axum::serve::Listener for Numbered {
    type Io = DuplexStream;
    type Addr = u32;

    async fn accept(&mut self) -> (DuplexStream, u32) {
        match self.0.recv().await {
            Some(stream) => (stream, 7),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<u32> {
        Ok(1)
    }
}

#[tokio::test]
async fn a_peer_of_a_transport_without_ip_addresses_is_a_stranger() {
    for (proxied, layer, expected) in [
        (false, layer(), "None None"),
        (false, layer().trusting_anyone(), "Some(203.0.113.7) None"),
        (true, layer(), "None None"),
    ] {
        let (sender, streams) = tokio::sync::mpsc::channel(1);
        let mut endpoint = Endpoint::custom("numbered", Numbered(streams));
        if proxied {
            endpoint = endpoint.layer(ProxyProtocolLayer::trusting(["0.0.0.0/0", "::/0"]).unwrap());
        }
        let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
        let server = tokio::spawn(kestrel_rs::serve(app(layer)).listener(listener).into_future());
        let (client, stream) = tokio::io::duplex(4096);
        sender.send(stream).await.unwrap();
        assert_eq!(ask(client).await, expected);
        server.abort();
    }
}

#[test]
fn to_trust_nobody_is_an_error() {
    let nobody = layer().known_proxies([]).known_networks([]);
    let error = nobody.check().unwrap_err();
    assert!(error.is_option() && error.to_string().contains("trusting_anyone()"), "{error}");
    let put = std::panic::catch_unwind(|| drop(nobody.layer(())));
    assert!(put.is_err(), "it is put around a service");
    for some in [layer().known_proxies([]), layer().known_networks([]), layer().trusting_anyone()] {
        assert!(some.check().is_ok(), "{some:?}");
    }
    // What is known afterwards is known alone.
    assert!(layer().trusting_anyone().known_networks([]).check().is_err());

    assert!(ProxyProtocolLayer::trusting(Vec::<IpNetwork>::new()).unwrap_err().is_option());
    assert!(ProxyProtocolLayer::trusting(["10.0.0.0/33"]).unwrap_err().is_option());
    assert!(ProxyProtocolLayer::trusting(["10.0.0.0/8".parse::<IpNetwork>().unwrap()]).is_ok());
    assert!(ProxyProtocolLayer::trusting([std::net::IpAddr::from([10, 0, 0, 1])]).is_ok());
}

/// What is inside of the layer, for a request that comes from 127.0.0.1.
async fn seen(layer: &ForwardedHeadersLayer, request: Request<()>) -> Request<()> {
    let mut request = request;
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000))));
    let inner = service_fn(async |request: Request<()>| Ok::<_, ()>(request));
    layer.layer(inner).oneshot(request).await.unwrap()
}

fn client(request: &Request<()>) -> String {
    request.extensions().get::<ConnectInfo<SocketAddr>>().unwrap().0.ip().to_string()
}

#[tokio::test]
async fn a_client_cannot_speak_for_a_proxy() {
    // What the client wrote, to which the nearest proxy adds what it saw.
    for written in [
        r#"for=6.6.6.6, host="a\"b""#,
        r#"host="a\"b", for=6.6.6.6"#,
        r#"for=6.6.6.6;x=""#,
        r#"for=6.6.6.6;x="\"#,
        r#"for=6.6.6.6;x="a", y=""#,
        r#"for=6.6.6.6, ""#,
        r#"for="6.6.6.6"#,
        r#"for="6.6.6.6\", x="\"#,
        r#"for=6.6.6.6;for="a"#,
        r#"x="\\", for=6.6.6.6"#,
        r#"x=\""#,
        "for=6.6.6.6;",
        "=",
        "",
    ] {
        for (added, seen_by_proxy) in [
            ("for=203.0.113.9", "203.0.113.9"),
            ("for=\"[2001:db8::9]:80\"", "2001:db8::9"),
            ("for=\"203.0.113.9:80\";proto=\"https\";by=\"_p\"", "203.0.113.9"),
        ] {
            let header = [written, ", ", added].concat();
            for layer in [layer().forwarded(), layer().forwarded().forward_limit(None)] {
                let request = Request::get("/").header("forwarded", &header).body(()).unwrap();
                assert_eq!(client(&seen(&layer, request).await), seen_by_proxy, "{header}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_is_believed_behind_an_element_that_says_not_for_whom() {
    let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO)
        .forwarded()
        .forward_limit(None);
    for (header, expected, scheme) in [
        ("for=6.6.6.6, proto=https", "127.0.0.1", "https"),
        ("for=6.6.6.6;proto=ftp, by=_p", "127.0.0.1", "http"),
        ("for=6.6.6.6;proto=ftp, nonsense", "127.0.0.1", "http"),
        ("for=6.6.6.6;proto=ftp, for=127.0.0.2;for=127.0.0.2", "127.0.0.1", "http"),
        ("for=6.6.6.6;proto=ftp, for=127.0.0.2;proto=\"https", "127.0.0.1", "http"),
        ("for=6.6.6.6;proto=ftp, for=127.0.0.2", "6.6.6.6", "ftp"),
    ] {
        let request = Request::get("/").header("forwarded", header).body(()).unwrap();
        let request = seen(&layer, request).await;
        assert_eq!(
            (client(&request).as_str(), RequestScheme::of(&request).as_str()),
            (expected, scheme),
            "{header}"
        );
    }
}

#[tokio::test]
async fn a_quote_that_is_left_open_takes_no_address_away() {
    for written in ["\"6.6.6.6", "\"\\", "6.6.6.6, \"", "\"a\"b"] {
        let header = format!("{written}, 203.0.113.9");
        let request = Request::get("/").header("x-forwarded-for", &header).body(()).unwrap();
        assert_eq!(client(&seen(&layer(), request).await), "203.0.113.9", "{header}");
    }
}

#[tokio::test]
async fn of_several_lines_those_that_are_empty_do_not_count() {
    let layer = ForwardedHeadersLayer::new(ForwardedHeaders::ALL);
    let said = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "outer.example"),
        ("x-forwarded-prefix", "/base"),
    ];
    for order in [&["", "value"][..], &["value", ""], &["", "", "value", ""]] {
        let mut request = Request::get("/").header("host", "inner.example");
        for (name, value) in said {
            for line in order {
                request = request.header(name, if *line == "value" { value } else { "" });
            }
        }
        let request = seen(&layer, request.body(()).unwrap()).await;
        assert_eq!(client(&request), "203.0.113.7", "{order:?}");
        assert_eq!(RequestScheme::of(&request), RequestScheme::HTTPS);
        assert_eq!(request.headers()["host"], "outer.example");
        assert_eq!(request.extensions().get::<PathBase>().unwrap().as_str(), "/base");
    }
    let standard = self::layer().forwarded();
    let request = Request::get("/").header("forwarded", "").header("forwarded", "for=203.0.113.7");
    assert_eq!(client(&seen(&standard, request.body(()).unwrap()).await), "203.0.113.7");
}

#[tokio::test]
async fn what_was_there_before_is_kept() {
    let layer = ForwardedHeadersLayer::new(ForwardedHeaders::ALL);
    let originals = |headers: &HeaderMap| {
        ["for", "proto", "host", "prefix"].map(|name| {
            let value = headers.get(format!("x-original-{name}"));
            value.map_or("-", |value| value.to_str().unwrap()).to_owned()
        })
    };
    for (scheme, base, said, expected) in [
        (None, "", &[("proto", "https")][..], ["127.0.0.1:40000", "http", "-", "-"]),
        (Some(RequestScheme::HTTPS), "", &[("proto", "http")], ["127.0.0.1:40000", "https", "-", "-"]),
        (None, "", &[("prefix", "/new")], ["127.0.0.1:40000", "-", "-", "-"]),
        (None, "/", &[("prefix", "/new")], ["127.0.0.1:40000", "-", "-", "/"]),
        (
            None,
            "/a?b#[ü]%2F%zz",
            &[("prefix", "/new")],
            ["127.0.0.1:40000", "-", "-", "/a%3Fb%23%5B%C3%BC%5D%2F%25zz"],
        ),
        (
            None,
            "/old",
            &[("proto", "ws"), ("prefix", "/new"), ("host", "b")],
            ["127.0.0.1:40000", "http", "inner.example:80", "/old"],
        ),
    ] {
        let mut request = Request::get("/").header("host", "inner.example:80");
        for (name, value) in said {
            request = request.header(format!("x-forwarded-{name}"), *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(PathBase::new(base).unwrap());
        if let Some(scheme) = scheme {
            request.extensions_mut().insert(scheme);
        }
        assert_eq!(originals(seen(&layer, request).await.headers()), expected, "{base} {said:?}");
    }

    // A proxy that is reached by the IPv4 address inside of an IPv6 one.
    let mut request = Request::get("/").header("x-forwarded-for", "203.0.113.7").body(()).unwrap();
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>("[::203.0.113.1]:80".parse().unwrap()));
    let inner = service_fn(async |request: Request<()>| Ok::<_, ()>(request));
    let layer = layer.known_networks(["::/96".parse().unwrap()]);
    let request = layer.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(request.headers()["x-original-for"], "[::203.0.113.1]:80");
}

/// A header of version 2 for IPv4 with these values behind the addresses.
fn proxy_v2(values: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = vec![192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 0xbb];
    for (kind, value) in values {
        body.push(*kind);
        body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value);
    }
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    header.extend(body);
    header
}

#[tokio::test]
async fn what_came_to_a_proxy_by_tls_is_https() {
    async fn what(connection: ConnectionInfo, scheme: RequestScheme) -> String {
        let header = connection.proxy_header();
        let authority = header.and_then(|header| header.authority());
        let alpn = header.and_then(|header| header.alpn()).map(String::from_utf8_lossy);
        format!("{:?} {scheme} {} {authority:?} {alpn:?}", connection.remote_addr(), connection.is_https())
    }
    let server = TestServer::builder(Router::new().route("/", get(what)))
        .layer(ProxyProtocolLayer::trusting(["127.0.0.1"]).unwrap())
        .start();
    let tls: &[u8] = &[1, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S', b'v', b'1', b'.', b'3'];
    for (values, expected) in [
        (&[][..], "Some(192.0.2.1:56324) http false None None"),
        (&[(0x20, &[0, 0, 0, 0, 0][..])], "Some(192.0.2.1:56324) http false None None"),
        (
            &[(1, b"http/1.1"), (2, b"shop.example"), (0x20, tls)],
            "Some(192.0.2.1:56324) https true Some(\"shop.example\") Some(\"http/1.1\")",
        ),
    ] {
        let mut proxy = server.connect().await.unwrap();
        proxy.send(proxy_v2(values)).await.unwrap();
        proxy.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let answer = proxy.read_to_end().await.unwrap();
        assert!(answer.ends_with(expected), "{answer}");
    }

    // What the client writes into `:scheme` of HTTP/2 is held to the same.
    for (values, is_served) in [(&[][..], false), (&[(0x20, tls)], true)] {
        let mut proxy = server.connect().await.unwrap();
        proxy.send(proxy_v2(values)).await.unwrap();
        let mut client = h2_client_over(proxy).await;
        let request =
            Request::get("https://shop.example/").version(axum::http::Version::HTTP_2).body(()).unwrap();
        let answer = client.send_request(request, true).unwrap().0.await;
        assert_eq!(answer.is_ok_and(|answer| answer.status() == 200), is_served);
    }
}

#[tokio::test]
async fn a_websocket_that_came_by_tls_is_not_redirected() {
    use kestrel_rs::request::HttpsRedirectionLayer;

    let layer = ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO);
    for (scheme, status) in [("wss", "200"), ("WSS", "200"), ("https", "200"), ("ws", "307"), ("http", "307")]
    {
        let app = Router::new()
            .route("/", get(async || "hello"))
            .layer(HttpsRedirectionLayer::new().https_port(443).unwrap())
            .layer(layer.clone());
        let server = TestServer::new(app);
        let mut client = server.connect().await.unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: {scheme}\r\nConnection: close\r\n\r\n"
        );
        client.send(head).await.unwrap();
        let answer = client.read_to_end().await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{scheme}");
    }
}
