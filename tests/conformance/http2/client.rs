//! Carries out the steps of a probe.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use super::digest::{mark, record};
use crate::cases::list;
use crate::frames::encode::{encode, small};
use crate::frames::seen::Seen;
use crate::frames::{ACK, PING, PREFACE, frame};

pub(super) struct Client<'a> {
    probe: &'a Value,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// What is still to be written.
    out: Vec<u8>,
    /// The first octets that were sent: frames are answered once they are the preface.
    head: Vec<u8>,
    /// Nothing can be written any more.
    is_broken: bool,
    received: u64,
    seen: Seen,
    marks: Map<String, Value>,
    deadline: Instant,
}

impl<'a> Client<'a> {
    pub(super) async fn connect(probe: &'a Value, address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        Ok(Self {
            probe,
            reader,
            writer,
            out: Vec::new(),
            head: Vec::new(),
            is_broken: false,
            received: 0,
            seen: Seen::default(),
            marks: Map::new(),
            deadline: Instant::now() + LONGEST,
        })
    }

    /// What has come once all is done, in the form of the recording.
    pub(super) async fn carry_out(mut self) -> Result<Value, String> {
        for step in list(&self.probe["steps"]) {
            self.step(step, 0).await?;
        }
        self.flush().await;
        let linger = Duration::from_secs_f64(self.probe["linger"].as_f64().unwrap_or(1.0));
        while self.seen.end.is_none() && Instant::now() < self.deadline {
            let before = self.received;
            // Behind an error the end is near.
            let failed = self.seen.goaways.iter().any(|(_, code)| code != "NO_ERROR");
            let silence = if failed { linger.max(Duration::from_secs(4)) } else { linger };
            self.pump(silence, |client| client.received > before).await;
            if self.received == before {
                break;
            }
        }
        Ok(record(&self.seen, &self.probe["group"], &self.marks))
    }

    /// Carries out a step, `add` more on its stream.
    async fn step(&mut self, step: &Value, add: u32) -> Result<(), String> {
        if self.seen.end.is_some() {
            return Ok(());
        }
        let mut parts = step.as_object().into_iter().flatten();
        let (kind, argument) = parts.find(|(name, _)| *name != "timeout").ok_or("an empty step")?;
        match &**kind {
            "repeat" => {
                let stream_add = small(&argument["stream_add"]);
                for time in 0..small(&argument["times"]) {
                    for step in list(&argument["steps"]) {
                        Box::pin(self.step(step, add + time * stream_add)).await?;
                    }
                }
            }
            "wait" => {
                self.flush().await;
                self.pump(seconds(argument, 0.0), |_| false).await;
            }
            "await" => {
                self.flush().await;
                let what = argument.as_str().unwrap_or_default();
                self.pump(seconds(&step["timeout"], 5.0), |client| client.seen.has(what)).await;
            }
            "mark" => {
                self.flush().await;
                let (name, standing) = mark(&self.seen, argument);
                self.marks.insert(name, standing);
            }
            "half_close" => {
                self.flush().await;
                self.is_broken |= self.writer.shutdown().await.is_err();
            }
            "settings" => {
                let table = list(argument).find(|setting| setting[0] == 1).map(|setting| small(&setting[1]));
                self.seen.tables.push_back(table);
                self.put(&encode(kind, argument, add)?);
            }
            _ => {
                self.seen.sent_data |= kind == "data";
                self.put(&encode(kind, argument, add)?);
            }
        }
        Ok(())
    }

    fn put(&mut self, octets: &[u8]) {
        let missing = PREFACE.len() - self.head.len();
        self.head.extend(octets.iter().take(missing));
        if !self.is_broken {
            self.out.extend_from_slice(octets);
        }
    }

    async fn flush(&mut self) {
        self.pump(Duration::from_secs(10), |client| client.out.is_empty()).await;
    }

    /// Writes and reads until `enough` holds, the server closes, or the time is over.
    async fn pump(&mut self, time: Duration, enough: impl Fn(&Self) -> bool) {
        let until = self.deadline.min(Instant::now() + time);
        while !enough(self) && self.seen.end.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || timeout(left, self.turn()).await.is_err() {
                return;
            }
        }
    }

    /// Reads or writes once; nothing is lost where it is dropped.
    async fn turn(&mut self) {
        let before = self.seen.rest.len();
        tokio::select! {
            read = self.reader.read_buf(&mut self.seen.rest) => match read {
                Ok(0) => self.seen.end = Some(if self.is_broken { "reset" } else { "fin" }),
                Ok(_) => self.take(before),
                Err(_) => self.seen.end = Some("reset"),
            },
            written = self.writer.write(&self.out), if !self.out.is_empty() => {
                if let Ok(written) = written {
                    self.out.drain(..written);
                } else {
                    // The server has closed; what it sent before is still to be read.
                    self.out.clear();
                    self.is_broken = true;
                }
            }
        }
    }

    fn take(&mut self, before: usize) {
        self.received += (self.seen.rest.len() - before) as u64;
        let answers = self.head == PREFACE && self.probe["ack"] != false;
        for owed in self.seen.take() {
            let payload = if owed.kind == PING { &owed.payload[..] } else { &[] };
            if answers {
                self.put(&frame(owed.kind, ACK, 0, payload, None));
            }
        }
    }
}

fn seconds(value: &Value, default: f64) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap_or(default))
}

/// A probe takes no longer.
const LONGEST: Duration = Duration::from_secs(12);
