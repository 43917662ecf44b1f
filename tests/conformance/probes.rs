//! Octets in, answers out: every probe over a real socket against the reference application.
//!
//! What must agree is what `probe.py`, the runner that the real Kestrel was recorded with, compares:
//! statuses, completeness, bodies of 2xx, trailers, and whether the connection stayed open.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::http::{Answer, answers, find};
use crate::support::{Elsewhere, Report, from_latin1, latin1, recording};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_probe_gets_the_answer_that_kestrel_gave() {
    let (Some(probes), Some(recorded)) = (recording("http1/probes.json"), recording("http1/recorded.json"))
    else {
        return;
    };
    let Value::Array(probes) = probes else { panic!("probes.json is not a list") };
    let (target, _server) = Target::find().await;

    let free = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for probe in probes {
        let free = Arc::clone(&free);
        let id = text(&probe["id"]).to_owned();
        let address = if probe["server"] == "short" { target.short } else { target.default };
        running.spawn(async move {
            let _permit = free.acquire_owned().await;
            let result = timeout(LONGEST, run(&probe, address)).await;
            (id, result.unwrap_or_else(|_| Err("ran past 60 s".to_owned())))
        });
    }
    let mut results = Vec::new();
    while let Some(result) = running.join_next().await {
        results.push(result.expect("a probe does not panic"));
    }
    results.sort_by(|(a, _), (b, _)| a.cmp(b));

    let mut report = Report::new("http1/recorded.json", &[""], target.elsewhere);
    for (id, here) in results {
        let golden = &recorded[&id];
        let others = golden["also"].as_array().map(Vec::as_slice).unwrap_or_default();
        let agrees = |here: &Digest| {
            std::iter::once(golden).chain(others).any(|golden| Digest::recorded(golden) == *here)
        };
        report.note(
            id,
            Value::Null,
            match here {
                Ok(here) if agrees(&here) => Ok(()),
                Ok(here) => {
                    Err(format!("recorded {}, here {}", Digest::recorded(golden).short(), here.short()))
                }
                Err(error) => Err(error),
            },
        );
    }
    report.finish();
}

/// Sends one probe and gathers what comes back.
async fn run(probe: &Value, address: SocketAddr) -> Result<Digest, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
    _ = stream.set_nodelay(true); // a drip is one octet a packet
    let (reader, mut writer) = stream.into_split();
    let mut incoming = Incoming { reader, raw: Vec::new(), closed: false };
    for step in probe["steps"].as_array().into_iter().flatten() {
        if let Some(octets) = step["send"].as_str() {
            incoming.while_sending(writer.write_all(&latin1(octets))).await;
        } else if let Some([octets, times]) = pair(&step["repeat"]) {
            let times = usize::try_from(times.as_u64().unwrap_or_default()).unwrap_or_default();
            incoming.while_sending(writer.write_all(&latin1(text(octets)).repeat(times))).await;
        } else if let Some(seconds) = step["wait"].as_f64() {
            let deadline = Instant::now() + Duration::from_secs_f64(seconds);
            while !incoming.closed && Instant::now() < deadline {
                incoming.pump(deadline - Instant::now()).await;
            }
        } else if let Some([octets, pause]) = pair(&step["drip"]) {
            for octet in latin1(text(octets)) {
                if incoming.closed {
                    break;
                }
                incoming.while_sending(writer.write_all(&[octet])).await;
                incoming.pump(Duration::from_secs_f64(pause.as_f64().unwrap_or_default())).await;
            }
        } else if step["half_close"] == true {
            _ = writer.shutdown().await;
        } else if let Some(wanted) = step["expect"].as_str() {
            let deadline = Instant::now() + Duration::from_secs(5);
            while find(&incoming.raw, &latin1(wanted)).is_none()
                && !incoming.closed
                && Instant::now() < deadline
            {
                incoming.pump((deadline - Instant::now()).max(SHORTEST)).await;
            }
        }
    }

    let linger = Duration::from_secs_f64(probe["linger"].as_f64().unwrap_or(1.0));
    let mut last = Instant::now();
    while !incoming.closed && last.elapsed() < linger {
        if incoming.pump(linger.saturating_sub(last.elapsed()).max(SHORTEST)).await {
            last = Instant::now();
        }
    }
    let head: Vec<bool> = probe["head"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|head| head.as_bool().unwrap_or_default())
        .collect();
    Ok(Digest::of(&incoming.raw, &head, incoming.closed))
}

/// What came back so far.
struct Incoming {
    reader: OwnedReadHalf,
    raw: Vec<u8>,
    closed: bool,
}

impl Incoming {
    /// Reads once; whether anything came.
    async fn pump(&mut self, patience: Duration) -> bool {
        let Ok(read) = timeout(patience, self.reader.read_buf(&mut self.raw)).await else { return false };
        let came = read.is_ok_and(|n| n > 0);
        self.closed = !came; // an end, or a reset
        came
    }

    /// Reads along while something is sent: a server that answers early must not wait for us.
    async fn while_sending(&mut self, sending: impl Future<Output = std::io::Result<()>>) {
        let sending = timeout(Duration::from_secs(10), sending); // a reset is seen when reading
        tokio::pin!(sending);
        loop {
            tokio::select! {
                biased;
                _ = &mut sending => return,
                read = self.reader.read_buf(&mut self.raw), if !self.closed => {
                    self.closed = !read.is_ok_and(|n| n > 0);
                }
            }
        }
    }
}

/// What must agree of a run.
#[derive(PartialEq)]
struct Digest {
    answers: Vec<Part>,
    stayed_open: bool,
}

#[derive(PartialEq)]
struct Part {
    status: u64,
    complete: bool,
    /// Those that were recorded: of the framing, the connection and the content.
    headers: BTreeMap<String, Vec<String>>,
    /// Of a 2xx; a long one is only its length.
    body: Option<String>,
    trailers: Vec<(String, String)>,
}

impl Digest {
    fn of(raw: &[u8], head: &[bool], closed: bool) -> Self {
        let parts = answers(raw, head).into_iter().map(|answer| Part {
            status: answer.status.into(),
            complete: answer.complete,
            headers: headers(&answer),
            body: (answer.status / 100 == 2).then(|| match answer.body.len() {
                ..=200 => from_latin1(&answer.body),
                long => format!("{long} bytes"),
            }),
            trailers: answer.trailers.into_iter().collect(),
        });
        Self { answers: parts.collect(), stayed_open: !closed }
    }

    fn recorded(golden: &Value) -> Self {
        let parts = golden["responses"].as_array().into_iter().flatten().map(|part| {
            let status = part["status"].as_u64().unwrap_or_default();
            let trailers = part["trailers"].as_object().into_iter().flatten();
            let mut trailers: Vec<_> =
                trailers.map(|(name, value)| (name.clone(), text(value).to_owned())).collect();
            trailers.sort();
            Part {
                status,
                complete: part["complete"] == true,
                headers: serde_json::from_value(part["headers"].clone()).unwrap_or_default(),
                body: (status / 100 == 2).then(|| text(&part["body"]).to_owned()),
                trailers,
            }
        });
        Self { answers: parts.collect(), stayed_open: golden["end"] == "open" }
    }

    /// `200 400(cut), closed`
    fn short(&self) -> String {
        let mut short = String::new();
        for part in &self.answers {
            _ = write!(short, "{} {:?}", part.status, part.headers);
            if let Some(body) = &part.body {
                _ = write!(short, " {body:?}");
            }
            short += if part.complete { ", " } else { " (cut), " };
        }
        short + if self.stayed_open { "open" } else { "closed" }
    }
}

/// The headers that `probe.py` keeps: what does not vary.
fn headers(answer: &Answer) -> BTreeMap<String, Vec<String>> {
    const KEPT: [&str; 7] =
        ["allow", "connection", "content-length", "content-type", "trailer", "transfer-encoding", "upgrade"];
    let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in
        answer.headers.iter().filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with("x-"))
    {
        kept.entry(name.clone()).or_default().push(value.clone());
    }
    kept
}

/// Where the reference application listens.
struct Target {
    default: SocketAddr,
    short: SocketAddr,
    elsewhere: Elsewhere,
}

impl Target {
    /// The one that the environment names, or our own, started here.
    async fn find() -> (Self, Option<Server>) {
        if let Ok(named) = std::env::var("KESTREL_PROBE_TARGET") {
            let (default, short) =
                named.split_once(',').expect("KESTREL_PROBE_TARGET is HOST:PORT,HOST:SHORTPORT");
            let address = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            return (
                Self { default: address(default), short: address(short), elsewhere: Elsewhere::Yes },
                None,
            );
        }
        let (port, short_port) = free_ports();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let target = Self { default: local(port), short: local(short_port), elsewhere: Elsewhere::No };
        let server = Server::start(&[port, short_port]);
        for address in [target.default, target.short] {
            server.wait_until_it_answers(address).await;
        }
        (target, Some(server))
    }
}

/// The example `reference`, a process of its own; killed when dropped.
pub(crate) struct Server(Child);

impl Server {
    /// On these ports, in the order that it takes them.
    pub(crate) fn start(ports: &[u16]) -> Self {
        let program = Self::program();
        let child = Command::new(&program)
            .args(ports.iter().map(u16::to_string))
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

    pub(crate) async fn wait_until_it_answers(&self, address: SocketAddr) {
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

/// Two ports that are free now, with the one 100 above each, which the application takes too.
pub(crate) fn free_ports() -> (u16, u16) {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut found = std::iter::repeat_with(|| {
        let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        any.expect("loopback has a free port").port()
    })
    .filter(|&port| port.checked_add(100).is_some_and(is_free));
    let first = found.next().unwrap_or_default();
    let second = found.find(|port| port.abs_diff(first) > 100).unwrap_or_default();
    (first, second)
}

fn pair(value: &Value) -> Option<[&Value; 2]> {
    Some([value.get(0)?, value.get(1)?])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A probe that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);
/// Most of a run is waiting for silence: so many at once take 10 s together.
const AT_A_TIME: usize = 32;
/// The shortest wait for octets.
const SHORTEST: Duration = Duration::from_millis(50);
