//! Carries out the steps of a probe.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use super::seen::Seen;
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HAS_PRIORITY, HEADERS, PADDED, PING, PRIORITY,
    PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal,
};
use crate::recording::latin1;

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
        Ok(self.seen.record(&self.probe["group"]))
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
                self.pump(seconds(&step["timeout"], 5.0), |client| client.has(what)).await;
            }
            "mark" => {
                self.flush().await;
                self.seen.mark(argument);
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

    /// Whether this has come: `headers:STREAM`, `data:STREAM:OCTETS`, `ping_ack:TIMES`..
    fn has(&self, what: &str) -> bool {
        let mut parts = what.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|number| number.parse::<u32>().ok());
        let (first, second) = (number().unwrap_or(1), number().unwrap_or_default());
        let seen = &self.seen;
        let stream = seen.streams.get(&first);
        match kind {
            "settings" => !seen.settings.is_empty(),
            "settings_ack" => seen.settings_acks >= first.into(),
            "ping_ack" => seen.ping_acks.len() >= first as usize,
            "goaway" => !seen.goaways.is_empty(),
            "headers" => stream.is_some_and(|s| s.status.is_some() || !s.informational.is_empty()),
            "end" => stream.is_some_and(super::seen::Stream::is_over),
            "rst" => stream.is_some_and(|stream| stream.rst.is_some()),
            "data" => stream.is_some_and(|s| s.body.len() >= second as usize || s.is_over()),
            "window" => seen.windows.get(&first).copied().unwrap_or_default() >= second.into(),
            _ => false, // the end of the connection ends every step
        }
    }
}

/// The octets of a step that sends.
fn encode(kind: &str, argument: &Value, add: u32) -> Result<Vec<u8>, String> {
    let stream = small(&argument["stream"]) + add;
    let flag = |name: &str, default: bool, flag: u8| {
        if argument[name].as_bool().unwrap_or(default) { flag } else { 0 }
    };
    let text = latin1(argument["text"].as_str().unwrap_or_default());
    Ok(match kind {
        "preface" => PREFACE.to_vec(),
        "raw" => hex(argument)?,
        "text" => latin1(argument.as_str().unwrap_or_default()),
        "frame" => {
            let length = argument["length"].as_u64().map(|_| small(&argument["length"]));
            let (kind, flags) = (octet(&argument["type"])?, octet(&argument["flags"])?);
            frame(kind, flags, stream, &hex(&argument["payload"])?, length)
        }
        "settings" => {
            let setting = |setting: &Value| {
                [&small(&setting[0]).to_be_bytes()[2..], &small(&setting[1]).to_be_bytes()].concat()
            };
            frame(SETTINGS, 0, 0, &list(argument).flat_map(setting).collect::<Vec<_>>(), None)
        }
        "settings_ack" => frame(SETTINGS, ACK, 0, &[], None),
        "headers" => headers(argument, stream)?,
        "continuation" => {
            let flags = flag("end_headers", true, END_HEADERS);
            frame(CONTINUATION, flags, stream, &block(argument)?, None)
        }
        "push_promise" => {
            let promised = small(&argument["promised"]).to_be_bytes();
            frame(PUSH_PROMISE, END_HEADERS, stream, &[&promised[..], &block(argument)?].concat(), None)
        }
        "data" => {
            let fill = argument["fill"].as_u64().map(|_| vec![b'x'; small(&argument["fill"]) as usize]);
            let (padded, body) = padded(argument, &fill.unwrap_or(text))?;
            frame(DATA, padded | flag("end_stream", false, END_STREAM), stream, &body, None)
        }
        "rst" => frame(RST_STREAM, 0, stream, &small(&argument["code"]).to_be_bytes(), None),
        "window_update" => {
            frame(WINDOW_UPDATE, 0, stream, &small(&argument["increment"]).to_be_bytes(), None)
        }
        "priority" => frame(PRIORITY, 0, stream, &priority(argument)?, None),
        "ping" => {
            let payload = if argument["payload"].is_null() { vec![0; 8] } else { hex(&argument["payload"])? };
            frame(PING, flag("ack", false, ACK), 0, &payload, None)
        }
        "goaway" => {
            let [last, code] = ["last", "code"].map(|name| small(&argument[name]).to_be_bytes());
            frame(GOAWAY, 0, 0, &[&last[..], &code, &text].concat(), None)
        }
        other => return Err(format!("no such step: {other}")),
    })
}

/// A long block goes on in CONTINUATION.
fn headers(argument: &Value, stream: u32) -> Result<Vec<u8>, String> {
    let whole = block(argument)?;
    let mut parts = whole.chunks(LONGEST_BLOCK);
    let mut first = parts.next().unwrap_or_default().to_vec();
    let mut flags = if argument["end_stream"] == true { END_STREAM } else { 0 };
    if !argument["priority"].is_null() {
        flags |= HAS_PRIORITY;
        first = [priority(&argument["priority"])?, first].concat();
    }
    let (padded, first) = padded(argument, &first)?;
    let last = if argument["end_headers"] == false { 0 } else { END_HEADERS };
    let end = |is_last: bool| if is_last { last } else { 0 };
    let mut octets = frame(HEADERS, flags | padded | end(parts.len() == 0), stream, &first, None);
    while let Some(part) = parts.next() {
        octets.extend(frame(CONTINUATION, end(parts.len() == 0), stream, part, None));
    }
    Ok(octets)
}

/// Fields, each a literal with a new name, so that no state is needed; or a block as it is.
fn block(argument: &Value) -> Result<Vec<u8>, String> {
    if !argument["block"].is_null() {
        return hex(&argument["block"]);
    }
    let field = |field: &Value| {
        let times = if field[2].is_null() { 1 } else { small(&field[2]) as usize };
        let value = latin1(field[1].as_str().unwrap_or_default()).repeat(times);
        literal(field[0].as_str().unwrap_or_default(), &value)
    };
    Ok(list(&argument["fields"]).flat_map(field).collect())
}

fn padded(argument: &Value, body: &[u8]) -> Result<(u8, Vec<u8>), String> {
    if argument["pad"].is_null() {
        return Ok((0, body.to_vec()));
    }
    let padding = octet(&argument["pad"])?;
    Ok((PADDED, [&[padding], body, &vec![0; padding.into()]].concat()))
}

fn priority(argument: &Value) -> Result<Vec<u8>, String> {
    let exclusive = if argument["exclusive"] == true { 1 << 31 } else { 0 };
    let on = (small(&argument["depends_on"]) | exclusive).to_be_bytes();
    let weight = argument["weight"].as_u64().unwrap_or(16).wrapping_sub(1);
    Ok([&on[..], &[u8::try_from(weight).map_err(|_| "no such weight")?]].concat())
}

fn hex(value: &Value) -> Result<Vec<u8>, String> {
    let text = value.as_str().unwrap_or_default();
    let octet = |at: usize| {
        let digits = text.get(at..at + 2).ok_or("half an octet")?;
        u8::from_str_radix(digits, 16).map_err(|error| error.to_string())
    };
    (0..text.len()).step_by(2).map(octet).collect()
}

fn octet(value: &Value) -> Result<u8, String> {
    u8::try_from(value.as_u64().unwrap_or_default()).map_err(|_| format!("no octet: {value}"))
}

/// A number of a frame: 0 where there is none.
fn small(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

fn seconds(value: &Value, default: f64) -> Duration {
    Duration::from_secs_f64(value.as_f64().unwrap_or(default))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A probe takes no longer.
const LONGEST: Duration = Duration::from_secs(12);
const LONGEST_BLOCK: usize = 16_000;
