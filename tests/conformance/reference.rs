//! The reference application (`examples/reference`), a process of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::recording::{Case, recording};
use crate::table::{Difference, Different, Outcome, Report};

/// Where it listens; over HTTP/2 100 above the first two.
pub(crate) struct Target {
    pub(crate) default: SocketAddr,
    pub(crate) short: SocketAddr,
    /// Over HTTP/2 only.
    pub(crate) small: Option<SocketAddr>,
    /// It was there before us: it is another server.
    pub(crate) is_another: bool,
    _server: Option<Server>,
}

impl Target {
    /// The one that the environment names, or our own, started here.
    pub(crate) async fn find() -> Self {
        if let Ok(named) = std::env::var("KESTREL_PROBE_TARGET") {
            let mut addresses = named.split(',').map(|text| text.parse().expect("an address with a port"));
            let (Some(default), Some(short)) = (addresses.next(), addresses.next()) else {
                panic!("KESTREL_PROBE_TARGET is HOST:PORT,HOST:SHORTPORT and maybe HOST:SMALLPORT");
            };
            return Self { default, short, small: addresses.next(), is_another: true, _server: None };
        }
        let [default, short, small] = free_ports().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let server = Server::start(&[default, short, small]);
        for address in [default, http2(default), short, http2(short), small] {
            server.wait_until_it_answers(address).await;
        }
        Self { default, short, small: Some(small), is_another: false, _server: Some(server) }
    }
}

/// Where the same is served over HTTP/2 only.
pub(crate) fn http2(mut address: SocketAddr) -> SocketAddr {
    address.set_port(address.port() + 100);
    address
}

/// Killed when dropped.
struct Server(Child);

impl Server {
    fn start(addresses: &[SocketAddr]) -> Self {
        let program = Self::program();
        let child = Command::new(&program)
            .args(addresses.iter().map(|address| address.port().to_string()))
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}; `cargo build --example reference` makes it", program.display())
            });
        Self(child)
    }

    /// `target/PROFILE/examples/reference`; this test is `target/PROFILE/deps/conformance-HASH`.
    fn program() -> PathBuf {
        let test = std::env::current_exe().expect("a test knows its own path");
        let profile =
            test.parent().and_then(|deps| deps.parent()).expect("a test lies in target/PROFILE/deps");
        profile.join("examples").join("reference").with_extension(std::env::consts::EXE_EXTENSION)
    }

    async fn wait_until_it_answers(&self, address: SocketAddr) {
        for _ in 0..100 {
            if TcpStream::connect(address).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the reference application does not listen on {address} after 10 s");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Ports that are free now, as are the ports 100 above them, which the application takes too.
fn free_ports() -> [u16; 3] {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut found: Vec<u16> = Vec::new();
    loop {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let port = any.expect("loopback has a free port").port();
        let is_apart = found.iter().all(|other| other.abs_diff(port) != 100 && *other != port);
        if is_apart && port.checked_add(100).is_some_and(is_free) {
            found.push(port);
        }
        if let Ok(ports) = <[u16; 3]>::try_from(&*found) {
            return ports;
        }
    }
}

/// Sends the probes of `http1` or `http2`, many at a time since most of a run is waiting for silence, and reports.
pub(crate) async fn replay_probes<R: Future<Output = Outcome> + Send>(
    [probes, recorded]: [&'static str; 2],
    table: &'static [Difference],
    target: &Target,
    run: impl Fn(Arc<Case>) -> R + Copy + Send + 'static,
) {
    let (Some(Value::Array(probes)), Some(mut golden)) = (recording(probes), recording(recorded)) else {
        return;
    };
    let free = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for input in probes {
        let id = input["id"].as_str().expect("a probe has an id").to_owned();
        let output = golden[&id].take();
        let case = Arc::new(Case { id, input, output });
        let free = Arc::clone(&free);
        running.spawn(async move {
            let _permit = free.acquire_owned().await;
            let outcome = timeout(LONGEST, run(Arc::clone(&case))).await;
            (case, outcome.unwrap_or_else(|_| Err(Different::new("ran past 60 s", "hangs"))))
        });
    }
    let mut outcomes = Vec::new();
    while let Some(outcome) = running.join_next().await {
        outcomes.push(outcome.expect("a probe does not panic"));
    }
    outcomes.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    let mut report = Report::new(recorded, table);
    if target.is_another {
        report = report.uncounted();
    }
    for (case, outcome) in outcomes {
        report.note(&case, outcome);
    }
    report.finish();
}

/// Recorded answers: the one, and others that will do.
pub(crate) fn any_of(golden: &Value) -> impl Iterator<Item = &Value> {
    std::iter::once(golden).chain(golden["also"].as_array().into_iter().flatten())
}

/// A probe that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);
/// All of a run take 10 s together.
const AT_A_TIME: usize = 32;
