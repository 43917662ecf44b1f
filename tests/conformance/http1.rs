//! Octets in, answers out: every probe over a real socket against the reference application.
//!
//! What must agree is what `probe.py`, the runner that the real Kestrel was recorded with, compares:
//! statuses, completeness, bodies of 2xx, trailers, and whether the connection stayed open.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Instant, timeout};

use crate::differences::HTTP1;
use crate::http::{Answer, answers, find};
use crate::recording::{from_latin1, latin1};
use crate::reference::{Target, any_of, replay_probes};
use crate::table::Different;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_probe_gets_the_answer_that_kestrel_gave() {
    let target = Target::find().await;
    let (default, short) = (target.default, target.short);
    replay_probes(["http1/probes.json", "http1/recorded.json"], HTTP1, &target, move |case| async move {
        let here = run(&case.input, if case.input["server"] == "short" { short } else { default }).await?;
        let recorded = Digest::recorded(&case.output).short();
        let agrees = any_of(&case.output).any(|golden| Digest::recorded(golden) == here);
        if agrees { Ok(()) } else { Err(Different::new(format!("recorded {recorded}"), here.short())) }
    })
    .await;
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
    trailers: BTreeMap<String, String>,
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
            trailers: answer.trailers,
        });
        Self { answers: parts.collect(), stayed_open: !closed }
    }

    fn recorded(golden: &Value) -> Self {
        let parts = golden["responses"].as_array().into_iter().flatten().map(|part| {
            let status = part["status"].as_u64().unwrap_or_default();
            Part {
                status,
                complete: part["complete"] == true,
                headers: serde_json::from_value(part["headers"].clone()).unwrap_or_default(),
                body: (status / 100 == 2).then(|| text(&part["body"]).to_owned()),
                trailers: serde_json::from_value(part["trailers"].clone()).unwrap_or_default(),
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
            if !part.trailers.is_empty() {
                _ = write!(short, " {:?}", part.trailers);
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

fn pair(value: &Value) -> Option<[&Value; 2]> {
    Some([value.get(0)?, value.get(1)?])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The shortest wait for octets.
const SHORTEST: Duration = Duration::from_millis(50);
