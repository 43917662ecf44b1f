//! Real programs at the other end: nginx as a proxy in front of a Unix socket, and a browser.
//! Where a program is not installed its test says so and is skipped.

use std::fmt::Write as _;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, WebSocketUpgrade};
use axum::response::Html;
use axum::routing::get;
use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer, RequestScheme};
use kestrel_rs::{ConnectionInfo, Endpoint, KestrelListener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::support::SocketServer;

/// Where Debian has programs, some of which are not in a user's path.
fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/sbin", "/usr/bin"].iter().map(|folder| PathBuf::from(folder).join(name));
    let found = found.into_iter().find(|path| path.exists());
    #[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
    if found.is_none() {
        eprintln!("skipped: {name} is not installed (apt-get install {name})");
    }
    found
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ask(address: SocketAddr, request: &str) -> String {
    for _ in 0..100 {
        let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
            tokio::time::sleep(Duration::from_millis(50)).await; // it is still starting
            continue;
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        return answer;
    }
    panic!("nothing answers on {address}")
}

#[tokio::test]
async fn nginx_in_front_of_a_unix_socket_says_who_the_client_is() {
    async fn what(connection: ConnectionInfo, scheme: RequestScheme, host: axum::http::HeaderMap) -> String {
        let remote = connection.remote_addr().map(|remote| remote.ip().to_string());
        format!("{remote:?} {scheme} {:?}", host.get("host"))
    }
    let Some(nginx) = program("nginx") else { return };
    let folder = std::env::temp_dir().join(format!("kestrel-rs-nginx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let socket = folder.join("app.sock");
    let forwarded =
        ForwardedHeadersLayer::new(ForwardedHeaders::FOR | ForwardedHeaders::PROTO | ForwardedHeaders::HOST)
            .trusting_anyone(); // whoever may open the socket's file
    let listener = KestrelListener::builder().endpoint(Endpoint::unix(&socket)).bind().await.unwrap();
    let app = Router::new().route("/", get(what)).layer(forwarded);
    let server = tokio::spawn(kestrel_rs::serve(app).listener(listener).into_future());

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = String::new();
    write!(
        config,
        "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{ access_log off;\n\
         client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d; scgi_temp_path {0}/e;\n\
         server {{ listen {port};\nlocation / {{ proxy_pass http://unix:{1}:/; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
         proxy_set_header X-Forwarded-For 203.0.113.7; proxy_set_header X-Forwarded-Proto https; proxy_set_header X-Forwarded-Host $host; }} }} }}\n",
        folder.display(),
        socket.display(),
    )
    .unwrap();
    let path = folder.join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let child = Command::new(nginx).arg("-c").arg(&path).stderr(Stdio::null()).spawn().unwrap();
    let _nginx = Running(child);

    let answer = ask(port, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for part in ["203.0.113.7", "https", "shop.example"] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    server.abort();
    let _ = std::fs::remove_dir_all(&folder);
}

#[tokio::test]
async fn a_browser_talks_over_a_websocket() {
    const PAGE: &str = "<script>
        const socket = new WebSocket(`ws://${location.host}/ws`);
        socket.onopen = () => socket.send('hello');
        socket.onmessage = message => fetch('/got/' + message.data);
    </script>";
    async fn echo(upgrade: WebSocketUpgrade) -> axum::response::Response {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        })
    }
    let Some(chromium) = program("chromium") else { return };
    let (got, mut gets) = mpsc::channel(1);
    let got = async move |Path(text): Path<String>| got.try_send(text).is_ok().to_string();
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/ws", get(echo))
        .route("/got/{text}", get(got));
    let server = SocketServer::new(app).await;
    let folder = std::env::temp_dir().join(format!("kestrel-rs-chromium-{}", std::process::id()));
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--remote-debugging-port=0", // stays until it is ended
    ];
    let mut command = tokio::process::Command::new(chromium);
    command.args(arguments).arg(format!("--user-data-dir={}", folder.display()));
    command.arg(format!("http://{}/", server.address)).stderr(Stdio::null());
    let mut browser = command.kill_on_drop(true).spawn().unwrap();
    let text = tokio::time::timeout(Duration::from_secs(60), gets.recv()).await;
    browser.kill().await.unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    assert_eq!(text.unwrap().as_deref(), Some("hello"));
}
