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
