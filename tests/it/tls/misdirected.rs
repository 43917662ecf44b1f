//! Requests for hosts with other rules for client certificates than their connection.

use axum::routing::any;
use http::{Request, Version};

use super::*;
use crate::support;

async fn exchange(stream: &mut Stream, request: &str) -> support::Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    support::answer(stream).await
}

/// Counts the requests that it sees.
fn counted() -> (Router, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let app = Router::new().fallback(any(async move || {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    (app, seen)
}

/// `partners.test` and all below it ask for certificates, the endpoint does not.
fn with_partners(authority: &Authority) -> TlsOptions {
    let closed = |name| {
        ServerName::from(authority.server(name))
            .client_certificates(ClientCertificates::Require)
            .client_trust(authority.trust())
    };
    authority
        .options()
        .server_name("other.test", authority.server("other.test"))
        .server_name("partners.test", closed("partners.test"))
        .server_name("*.partners.test", closed("*.partners.test"))
        .server_name("bücher.test", closed("xn--bcher-kva.test"))
}

/// The statuses of requests on one connection; `host` goes into Host, or into `:authority`.
async fn statuses(
    server: &TestServer,
    client: Client<'_>,
    name: &str,
    version: Version,
    hosts: &[&str],
) -> Vec<u16> {
    let mut found = Vec::new();
    if version == Version::HTTP_2 {
        let stream = connect(server, &client.alpn(&["h2"]).config(), name).await.unwrap();
        let stream = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let (mut client, connection) = hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
        tokio::spawn(connection);
        for host in hosts {
            let request = Request::get(format!("https://{host}/")).body(axum::body::Body::empty()).unwrap();
            found.push(client.send_request(request).await.unwrap().status().as_u16());
        }
        return found;
    }
    let mut stream = connect(server, &client.config(), name).await.unwrap();
    for host in hosts {
        let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc");
        let answer = exchange(&mut stream, &request).await;
        assert!(!answer.closes(), "{}", answer.head);
        found.push(answer.status);
    }
    found
}

const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn a_host_with_other_rules_is_misdirected_and_no_handler_sees_it() {
    let authority = Authority::new();
    let (app, seen) = counted();
    let server = TestServer::builder(app).tls(with_partners(&authority)).start();
    for version in BOTH {
        for name in ["localhost", "other.test"] {
            let closed = [
                "partners.test",
                "Partners.TEST:443",
                "partners.test.",
                "a.partners.test",
                "a.b.partners.test:1",
                "xn--bcher-kva.test",
            ];
            assert_eq!(statuses(&server, authority.client(), name, version, &closed).await, [421; 6]);
            assert_eq!(seen.swap(0, Ordering::SeqCst), 0);
            let open =
                ["localhost", "partners.test", "other.test:443", "else.test", "127.0.0.1", "[::1]:443"];
            let answers = statuses(&server, authority.client(), name, version, &open).await;
            assert_eq!(answers, [200, 421, 200, 200, 200, 200]);
            assert_eq!(seen.swap(0, Ordering::SeqCst), 5);
        }
        let partner = || authority.client().with_certificate(&authority);
        let hosts =
            ["partners.test", "A.partners.test.", "other.test", "localhost", "else.test", "127.0.0.1"];
        let answers = statuses(&server, partner(), "partners.test", version, &hosts).await;
        assert_eq!(answers, [200, 200, 421, 421, 421, 421]);
        seen.swap(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn every_way_to_name_a_host_is_judged() {
    let authority = Authority::new();
    let (app, seen) = counted();
    let server = TestServer::builder(app).tls(with_partners(&authority)).start();
    let open = authority.client().config();
    let closed = authority.client().with_certificate(&authority).config();
    for (client, name, request, status) in [
        (&open, "other.test", "GET https://partners.test/ HTTP/1.1\r\nHost: partners.test\r\n\r\n", 421),
        (&open, "other.test", "GET http://partners.test/ HTTP/1.1\r\nHost: partners.test\r\n\r\n", 421),
        (&open, "other.test", "CONNECT partners.test:443 HTTP/1.1\r\nHost: partners.test:443\r\n\r\n", 421),
        (&open, "other.test", "OPTIONS * HTTP/1.1\r\nHost: partners.test\r\n\r\n", 421),
        (&open, "other.test", "GET / HTTP/1.0\r\nHost: partners.test\r\n\r\n", 421),
        (&open, "other.test", "GET / HTTP/1.0\r\n\r\n", 200),
        (&open, "other.test", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (&closed, "partners.test", "GET https://partners.test/ HTTP/1.1\r\nHost: partners.test\r\n\r\n", 200),
        // Nobody knows for whom it is.
        (&closed, "partners.test", "GET / HTTP/1.0\r\n\r\n", 421),
        (&closed, "partners.test", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 421),
    ] {
        let mut stream = connect(&server, client, name).await.unwrap();
        let answer = exchange(&mut stream, request).await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(seen.swap(0, Ordering::SeqCst), usize::from(status == 200), "{request}");
        if status == 421 {
            assert_eq!(answer.header("server"), Some("kestrel-rs"));
            assert!(answer.header("date").is_some());
            assert_eq!(answer.body, "");
        }
    }
}

#[tokio::test]
async fn names_without_the_endpoints_rules_do_not_open_it() {
    let authority = Authority::new();
    let options = authority
        .options()
        .client_certificates(ClientCertificates::Require)
        .client_trust(authority.trust())
        .server_name(
            "open.test",
            ServerName::from(authority.server("open.test")).client_certificates(ClientCertificates::Ignore),
        );
    let server = TestServer::builder(counted().0).tls(options).start();
    for version in BOTH {
        let hosts = ["open.test", "localhost", "else.test", "192.0.2.1"];
        let answers = statuses(&server, authority.client(), "open.test", version, &hosts).await;
        assert_eq!(answers, [200, 421, 421, 421]);
    }
    let mut stream = connect(&server, &authority.client().config(), "open.test").await.unwrap();
    assert_eq!(exchange(&mut stream, "GET / HTTP/1.0\r\n\r\n").await.status, 421);
}

#[tokio::test]
async fn the_same_rules_fit_whatever_the_name() {
    let authority = Authority::new();
    let asks = |trust| ServerName::new().client_certificates(ClientCertificates::Allow).client_trust(trust);
    let der = || ClientTrust::from_der([authority.certificate.der().to_vec()]).unwrap();
    let same = authority
        .options()
        .client_certificates(ClientCertificates::Allow)
        .client_trust(authority.trust())
        .server_name("other.test", asks(authority.trust()));
    let given = authority
        .options()
        .client_certificates(ClientCertificates::Allow)
        .client_trust(der())
        .server_name("other.test", asks(der()));
    let none = authority.options().server_name("other.test", authority.server("other.test"));
    let ignored =
        authority.options().server_name("other.test", ServerName::new().client_trust(authority.trust()));
    let checked = |check: fn(&[&[u8]]) -> Result<(), kestrel_rs::BoxError>| authority.trust().also(check);
    let others = same.clone().server_name("other.test", asks(checked(|_| Ok(()))));
    for (options, status) in [(same, 200), (given, 200), (none, 200), (ignored, 200), (others, 421)] {
        let server = TestServer::builder(counted().0).tls(options).start();
        for version in BOTH {
            let answers = statuses(&server, authority.client(), "localhost", version, &["other.test"]).await;
            assert_eq!(answers, [status]);
        }
    }
    // What rustls was told to do nobody can ask.
    let expert = from_rustls(&authority).server_name("other.test", authority.server("other.test"));
    let server = TestServer::builder(counted().0).tls(expert).start();
    let answers =
        statuses(&server, authority.client(), "localhost", Version::HTTP_11, &["other.test", "localhost"])
            .await;
    assert_eq!(answers, [421, 200]);
    let said = from_rustls(&authority)
        .client_certificates(ClientCertificates::Ignore)
        .server_name("other.test", authority.server("other.test"));
    let server = TestServer::builder(counted().0).tls(said).start();
    let answers = statuses(&server, authority.client(), "localhost", Version::HTTP_11, &["other.test"]).await;
    assert_eq!(answers, [200]);
}

#[tokio::test]
async fn a_resolver_is_asked_for_the_host_too() {
    let authority = Authority::new();
    let open = TlsOptions::new(authority.server("open.test"));
    let also_open = TlsOptions::new(authority.server("also.test"));
    let closed = TlsOptions::new(authority.server("closed.test"))
        .client_certificates(ClientCertificates::Require)
        .client_trust(authority.trust());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let options = TlsOptions::resolver({
        let asked = Arc::clone(&asked);
        move |hello: ClientHello| {
            let name = hello.server_name().map(str::to_owned);
            asked.lock().unwrap().push(name.clone().unwrap_or_default());
            let (open, also_open, closed) = (open.clone(), also_open.clone(), closed.clone());
            async move {
                tokio::task::yield_now().await;
                match name.as_deref() {
                    Some("open.test") | None => Ok(open),
                    Some("also.test") => Ok(also_open),
                    Some("closed.test") => Ok(closed),
                    Some(_) => Err("not one of ours".into()),
                }
            }
        }
    });
    let (app, seen) = counted();
    let server = TestServer::builder(app).tls(options).start();
    for version in BOTH {
        let hosts = ["open.test", "closed.test", "Closed.test.:1", "also.test", "127.0.0.1", "else.test"];
        let answers = statuses(&server, authority.client(), "open.test", version, &hosts).await;
        assert_eq!(answers, [200, 421, 421, 200, 200, 421]);
        assert_eq!(seen.swap(0, Ordering::SeqCst), 3);
        let asked = std::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(asked, ["open.test", "closed.test", "also.test", "", "else.test"]);
    }
}
