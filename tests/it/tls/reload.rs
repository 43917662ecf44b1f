//! Certificates change under a server that goes on.

use super::*;

/// Longer than it takes until a change is noticed.
const NOTICED: Duration = Duration::from_secs(8);

/// Puts a certificate for `name` into the files that the one for `localhost` was read from.
fn replace(authority: &Authority, name: &str) {
    let (certificate, key) = authority.issue(name, ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(authority.folder.join("localhost.key"), key.serialize_pem()).unwrap();
    std::fs::write(authority.folder.join("localhost.pem"), certificate.pem()).unwrap();
}

fn shown(stream: &Stream) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// One request on a connection that is kept.
async fn ask(stream: &mut Stream) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = crate::support::answer(stream).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.closes());
}

#[tokio::test(start_paused = true)]
async fn new_connections_get_the_new_certificate_and_no_request_fails() {
    let authority = Authority::new();
    let options = authority.options().server_name("a.test", authority.server("a.test"));
    let server = server(options);
    let client = authority.client().config();
    let mut live = connect(&server, &client, "localhost").await.unwrap();
    ask(&mut live).await;
    let first = shown(&live);
    let named = shown(&connect(&server, &client, "a.test").await.unwrap());

    replace(&authority, "localhost");
    authority.server("a.test");
    let end = Instant::now() + NOTICED;
    while Instant::now() < end {
        ask(&mut live).await;
        fetch(&server, &client, "localhost").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // Without the session of before, which shows the certificate of before.
    let client = authority.client().config();
    assert_ne!(shown(&connect(&server, &client, "localhost").await.unwrap()), first);
    assert_ne!(shown(&connect(&server, &client, "a.test").await.unwrap()), named);
    ask(&mut live).await;
    assert_eq!(shown(&live), first);
}

/// The names of what a handshake would show now.
fn is_for(certificate: &Certificate, name: &str) -> bool {
    format!("{certificate:?}").contains(name)
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_not_followed_after_the_server() {
    let authority = Authority::new();
    let certificate = authority.server("localhost");
    let mut server = server(TlsOptions::new(certificate.clone()));
    replace(&authority, "second.test");
    tokio::time::sleep(NOTICED).await;
    assert!(is_for(&certificate, "second.test"));

    server.stop();
    server.stopped().await;
    replace(&authority, "third.test");
    tokio::time::sleep(NOTICED).await;
    assert!(is_for(&certificate, "second.test"));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_followed_under_axum_too() {
    let authority = Authority::new();
    let certificate = authority.server("localhost");
    let endpoint = Endpoint::ip(([127, 0, 0, 1], 0)).tls(TlsOptions::new(certificate.clone()));
    let listener = KestrelListener::builder().endpoint(endpoint).bind().await.unwrap();
    replace(&authority, "second.test");
    tokio::time::sleep(NOTICED).await;
    assert!(is_for(&certificate, "localhost"), "nobody is served yet");

    let listener = listener.into_axum().unwrap();
    tokio::time::sleep(NOTICED).await;
    assert!(is_for(&certificate, "second.test"));

    drop(listener);
    replace(&authority, "third.test");
    tokio::time::sleep(NOTICED).await;
    assert!(is_for(&certificate, "second.test"));
}

/// Puts the certificate of another authority into the file that `authority.trust()` reads.
fn replace_trust(authority: &Authority, by: &Authority) {
    std::fs::write(authority.folder.join("ca.pem"), by.certificate.pem()).unwrap();
}

/// Whether a client gets an answer. One that is refused after its side of the handshake may see no more than the end.
async fn is_served(server: &TestServer, client: &Arc<ClientConfig>, name: &str) -> bool {
    let Ok(mut stream) = connect(server, client, name).await else { return false };
    answer_for(&mut stream, name, "/").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

#[tokio::test(start_paused = true)]
async fn authorities_for_clients_are_followed() {
    let (authority, second) = (Authority::new(), Authority::new());
    let asks = |options: TlsOptions| {
        options.client_certificates(ClientCertificates::Require).client_trust(authority.trust())
    };
    let named = ServerName::from(authority.server("a.test"))
        .client_certificates(ClientCertificates::Require)
        .client_trust(authority.trust());
    let by_endpoint = server(asks(authority.options()));
    let by_name = server(authority.options().server_name("a.test", named));
    let fixed = server(asks(authority.options()).client_trust(authority.trust().without_reload()));
    // And whether it follows the file.
    let servers =
        [(&by_endpoint, "localhost", true), (&by_name, "a.test", true), (&fixed, "localhost", false)];
    let first = || authority.client().with_certificate(&authority);
    // Sessions that can be resumed, of a client that is not welcome later.
    let remembered = servers.map(|_| [first().config(), first().tls12().config()]);
    for ((server, name, _), clients) in servers.iter().zip(&remembered) {
        for client in clients {
            assert!(is_served(server, client, name).await);
        }
        let newcomer = authority.client().with_certificate(&second).config();
        assert!(!is_served(server, &newcomer, name).await);
    }

    replace_trust(&authority, &second);
    tokio::time::sleep(NOTICED).await;
    for ((server, name, follows), clients) in servers.iter().zip(&remembered) {
        for client in clients {
            assert_eq!(is_served(server, client, name).await, !*follows);
        }
        assert_eq!(is_served(server, &first().config(), name).await, !*follows);
        let newcomer = authority.client().with_certificate(&second).config();
        assert_eq!(is_served(server, &newcomer, name).await, *follows);
    }

    // A file that is of no use changes nothing.
    std::fs::write(authority.folder.join("ca.pem"), "").unwrap();
    tokio::time::sleep(NOTICED).await;
    let newcomer = authority.client().with_certificate(&second).config();
    assert!(is_served(&by_endpoint, &newcomer, "localhost").await);
}
