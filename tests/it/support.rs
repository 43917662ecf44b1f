//! What the tests share.

use std::fmt::{self, Write as _};
use std::future::{Future, IntoFuture};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use kestrel_rs::test::TestConnection;
use kestrel_rs::{Error, KestrelListener};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::span;

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A request for a tunnel, which [`tunnel`] grants.
pub(crate) const UPGRADE: &str =
    "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// An app with one of everything.
pub(crate) fn app() -> Router {
    Router::new()
        .route("/", any(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/unread", post(|| async { "hello" }))
        .route("/after/{seconds}", get(after))
        .route("/tunnel", any(tunnel))
}

async fn after(axum::extract::Path(seconds): axum::extract::Path<u64>) -> &'static str {
    tokio::time::sleep(secs(seconds)).await;
    "after"
}

/// Upgrades, then sends back what comes.
pub(crate) async fn tunnel(mut request: Request) -> Response {
    let connect = request.method() == http::Method::CONNECT;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(stream));
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        }
    });
    if connect {
        return StatusCode::OK.into_response();
    }
    (StatusCode::SWITCHING_PROTOCOLS, [("connection", "Upgrade"), ("upgrade", "raw")]).into_response()
}

/// A body whose chunks come through a channel.
pub(crate) fn channel_body() -> (mpsc::Sender<Result<Bytes, io::Error>>, Body) {
    let (sender, receiver) = mpsc::channel(16);
    let chunks = futures_util::stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    (sender, Body::from_stream(chunks))
}

/// What is ready before an hour has passed; with paused time, an hour is a moment.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(2 * HOUR, future).await else { panic!("nothing happened") };
    output
}

/// As [`soon`], for tests whose clock runs.
pub(crate) async fn really_soon<F: Future>(future: F) -> F::Output {
    let Ok(output) = tokio::time::timeout(secs(20), future).await else { panic!("nothing happened") };
    output
}

/// One answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads one answer, with its body by its framing.
pub(crate) async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Answer {
    let head = until(stream, "\r\n\r\n").await;
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let Some(status) = status.filter(|_| head.ends_with("\r\n\r\n")) else { panic!("no answer: {head:?}") };
    let mut answer = Answer { status, head, body: String::new() };
    if answer.header("transfer-encoding").is_some() {
        loop {
            let size = until(stream, "\r\n").await;
            let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
            let chunk = octets(stream, size + 2).await;
            if size == 0 {
                break;
            }
            answer.body += &chunk[..size];
        }
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse().unwrap();
        answer.body = octets(stream, length).await;
    }
    answer
}

pub(crate) async fn octets(stream: &mut (impl AsyncRead + Unpin), count: usize) -> String {
    let mut octets = vec![0; count];
    soon(stream.read_exact(&mut octets)).await.unwrap();
    String::from_utf8_lossy(&octets).into_owned()
}

/// Reads up to and with `end`, or to the end of the stream.
pub(crate) async fn until(stream: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        match soon(stream.read_u8()).await {
            Ok(octet) => read.push(octet),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&read)),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Everything until the end, which is no reset.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    let result = soon(stream.read_to_end(&mut read)).await;
    let read = String::from_utf8_lossy(&read).into_owned();
    if let Err(error) = result {
        panic!("{error} after {read:?}");
    }
    read
}

/// Nothing more comes, and the connection ends in peace.
pub(crate) async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    assert_eq!(rest(stream).await, "");
}

/// Nothing more comes, and the connection is reset.
pub(crate) async fn reset(stream: &mut (impl AsyncRead + Unpin)) {
    let mut read = Vec::new();
    let result = soon(stream.read_to_end(&mut read)).await;
    assert_eq!(String::from_utf8_lossy(&read), "");
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

/// Nothing comes for so long, and the connection stays open.
pub(crate) async fn quiet(stream: &mut (impl AsyncRead + Unpin), time: Duration) {
    let octet = tokio::time::timeout(time, stream.read_u8()).await;
    assert!(octet.is_err(), "{octet:?}");
}

/// Sends a request and reads its answer.
pub(crate) async fn exchange(connection: &mut TestConnection, request: impl AsRef<[u8]>) -> Answer {
    connection.send(request).await.unwrap();
    answer(connection).await
}

/// So many seconds have passed, and less than one more.
#[track_caller]
pub(crate) fn took(start: Instant, seconds: u64) {
    let time = start.elapsed();
    assert!(time >= secs(seconds) && time <= secs(seconds + 1), "{time:?} instead of {seconds} s");
}

/// Sends the time at which it is dropped.
pub(crate) struct DropTime(mpsc::Sender<Instant>);

impl DropTime {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Instant>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }
}

impl Drop for DropTime {
    fn drop(&mut self) {
        let _ = self.0.try_send(Instant::now());
    }
}

/// A server on a real socket; stopped when it is dropped.
pub(crate) struct SocketServer {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<Result<(), Error>>,
    _stop_on_drop: DropGuard,
}

impl SocketServer {
    pub(crate) async fn new(app: Router) -> Self {
        let listener = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
        Self::on(listener, app)
    }

    pub(crate) fn on(listener: KestrelListener, app: Router) -> Self {
        let address = listener.local_addrs()[0].socket_addr().unwrap();
        let stop = CancellationToken::new();
        let server = kestrel_rs::serve(app)
            .listener(listener)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .with_shutdown_timeout(secs(1));
        let task = tokio::spawn(server.into_future());
        Self { address, served: task, _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    pub(crate) async fn connect(&self) -> tokio::net::TcpStream {
        tokio::net::TcpStream::connect(self.address).await.unwrap()
    }
}

/// One test of this program, run in a process of its own that serves on a socket.
pub(crate) struct ChildServer {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) output: BufReader<std::process::ChildStdout>,
}

impl ChildServer {
    /// Runs the ignored test `name`, which calls [`serve_in_child`], after the shell has run `first`.
    pub(crate) fn start(name: &str, first: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{first} exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
            .env("KESTREL_RS_CHILD", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the child serves nothing");
            if let Some((_, address)) = line.split_once("serving on ") {
                break address.trim().parse().unwrap();
            }
        };
        Self { child, address, output }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The part of a child: serves `app` until a signal ends it, or the test that started it.
#[expect(clippy::print_stdout, reason = "how a child speaks to its test")]
pub(crate) async fn serve_in_child(app: Router) {
    if std::env::var_os("KESTREL_RS_CHILD").is_none() {
        return;
    }
    let listener = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
    println!("serving on {}", listener.local_addrs()[0].socket_addr().unwrap());
    kestrel_rs::serve(app).listener(listener).await.unwrap();
    println!("has shut down");
}

/// A frame of HTTP/2.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
/// `GET / http a`, in HPACK.
pub(crate) const GET_BLOCK: &[u8] = b"\x82\x86\x84\x41\x01a";
/// `END_HEADERS` and `END_STREAM`.
pub(crate) const END: u8 = 5;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What a client of HTTP/2 begins with.
pub(crate) fn http2_start() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// The frames of HTTP/2 up to the end of the stream.
pub(crate) async fn frames(stream: &mut (impl AsyncRead + Unpin)) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let mut head = [0; 9];
        match soon(stream.read_exact(&mut head)).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return frames,
            Err(error) => panic!("{error} after {frames:?}"),
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        soon(stream.read_exact(&mut payload)).await.unwrap();
        frames.push(Frame { kind: head[3], payload });
    }
}

/// Records the events of this thread while it is held.
pub(crate) struct Events {
    seen: Arc<Mutex<Vec<(tracing::Level, String)>>>,
    _default: tracing::subscriber::DefaultGuard,
}

impl Events {
    pub(crate) fn record() -> Self {
        // While there is but one subscriber in the process, tracing asks whether an event is wanted
        // in the thread that comes to it first, which may be another test's, and keeps the answer.
        static OTHERS: OnceLock<[tracing::Dispatch; 2]> = OnceLock::new();
        OTHERS.get_or_init(|| [(); 2].map(|()| tracing::Dispatch::new(Recorder(Arc::default()))));
        let seen = Arc::default();
        let recorder = Recorder(Arc::clone(&seen));
        let events = Self { seen, _default: tracing::subscriber::set_default(recorder) };
        tracing::info!("begun");
        assert_eq!(events.take().len(), 1, "events are recorded");
        events
    }

    /// What was logged since the last call.
    pub(crate) fn take(&self) -> Vec<(tracing::Level, String)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    #[track_caller]
    pub(crate) fn none_above_debug(&self) {
        let loud = self.take().into_iter().filter(|(level, _)| *level < tracing::Level::DEBUG);
        assert_eq!(loud.collect::<Vec<_>>(), []);
    }
}

struct Recorder(Arc<Mutex<Vec<(tracing::Level, String)>>>);

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Reads a request's body to its end; what came before an error is lost.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, axum::Error> {
    body.collect().await.map(http_body_util::Collected::to_bytes)
}
