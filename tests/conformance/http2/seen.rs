//! What has come of the server, in the form of the recording.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use super::hpack::Decoder;
use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, code, number,
};
use crate::http::answers;
use crate::recording::from_latin1;

/// Everything that has come so far.
#[derive(Default)]
pub(super) struct Seen {
    /// What is no whole frame yet.
    pub(super) rest: Vec<u8>,
    pub(super) end: Option<&'static str>,
    pub(super) streams: BTreeMap<u32, Stream>,
    /// What `WINDOW_UPDATE` has added.
    pub(super) windows: BTreeMap<u32, u64>,
    pub(super) settings: Vec<Value>,
    pub(super) settings_acks: u64,
    pub(super) ping_acks: Vec<String>,
    pub(super) goaways: Vec<(u32, String)>,
    pub(super) marks: Map<String, Value>,
    /// The sizes of the table that our SETTINGS allow, which count once they are acknowledged.
    pub(super) tables: VecDeque<Option<u32>>,
    pub(super) sent_data: bool,
    server_window: u64,
    hpack: Decoder,
    /// The stream and the block of fields that is on its way, and whether it ends the stream.
    block: Option<(u32, Vec<u8>, bool)>,
    text: Vec<u8>,
    malformed: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stream {
    pub(super) status: Option<u16>,
    pub(super) informational: Vec<u16>,
    pub(super) body: Vec<u8>,
    pub(super) is_ended: bool,
    pub(super) rst: Option<String>,
    headers: BTreeMap<String, Vec<String>>,
    trailers: BTreeMap<String, String>,
}

impl Stream {
    pub(super) fn is_over(&self) -> bool {
        self.is_ended || self.rst.is_some()
    }

    fn record(&self) -> Value {
        json!({
            "status": self.status,
            "informational": self.informational,
            "headers": self.headers,
            "body": text(&self.body),
            "trailers": self.trailers,
            "end_stream": self.is_ended,
            "rst": self.rst,
        })
    }

    fn standing(&self) -> Value {
        json!({
            "status": self.status,
            "bytes": self.body.len(),
            "end_stream": self.is_ended,
            "rst": self.rst,
        })
    }
}

impl Seen {
    /// Takes the frames that are whole; the answers to them that a client owes.
    pub(super) fn take(&mut self) -> Vec<Frame> {
        let mut owed = Vec::new();
        loop {
            let is_text = !self.text.is_empty()
                || self.rest.starts_with(b"HTTP/")
                || self.rest.len() >= 9 && number(&self.rest) >> 8 > LARGEST;
            if is_text {
                self.text.append(&mut self.rest);
            }
            let Some((frame, length)) = Frame::read(&self.rest) else { return owed };
            self.rest.drain(..length);
            if let Err(what) = self.take_frame(&frame) {
                self.malformed.push(what);
            }
            if matches!(frame.kind, SETTINGS | PING) && !frame.has(ACK) {
                owed.push(frame);
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame) -> Result<(), String> {
        let content = frame.content().ok_or("padding longer than its frame")?;
        match frame.kind {
            SETTINGS if frame.has(ACK) => {
                self.settings_acks += 1;
                if let Some(Some(size)) = self.tables.pop_front() {
                    self.hpack.allowed = size as usize;
                }
            }
            SETTINGS => {
                let each = content.chunks_exact(6);
                let mut settings: Vec<_> =
                    each.map(|one| [u32::from(one[0]) << 8 | u32::from(one[1]), number(&one[2..])]).collect();
                settings.sort_unstable();
                self.settings.push(json!(settings));
            }
            PING if frame.has(ACK) => {
                let payload = content.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
                self.ping_acks.push(format!("{payload:016x}"));
            }
            GOAWAY => self.goaways.push((number(content), code(content.get(4..).unwrap_or_default()))),
            WINDOW_UPDATE => {
                let increment = u64::from(number(content));
                *self.windows.entry(frame.stream).or_default() += increment;
                if frame.stream == 0 && !self.sent_data {
                    self.server_window += increment;
                }
            }
            RST_STREAM => _ = self.stream(frame).rst.get_or_insert_with(|| code(content)),
            DATA => {
                let stream = self.stream(frame);
                stream.body.extend_from_slice(content);
                stream.is_ended |= frame.has(END_STREAM);
            }
            HEADERS => {
                self.block = Some((frame.stream, content.to_vec(), frame.has(END_STREAM)));
                self.end_block(frame)?;
            }
            CONTINUATION => {
                let block = self.block.as_mut().filter(|(stream, ..)| *stream == frame.stream);
                let (_, octets, _) = block.ok_or("CONTINUATION of nothing")?;
                octets.extend_from_slice(content);
                self.end_block(frame)?;
            }
            PRIORITY | PUSH_PROMISE => return Err(format!("a frame of type {} from a server", frame.kind)),
            _ => {}
        }
        Ok(())
    }

    fn stream(&mut self, frame: &Frame) -> &mut Stream {
        self.streams.entry(frame.stream).or_default()
    }

    fn end_block(&mut self, frame: &Frame) -> Result<(), String> {
        let Some((_, block, end_stream)) = self.block.take_if(|_| frame.has(END_HEADERS)) else {
            return Ok(());
        };
        let fields = self.hpack.decode(&block)?;
        let stream = self.stream(frame);
        let mut status = None;
        let mut kept: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in fields {
            let (name, value) = (from_latin1(&name), text(&value));
            if name == ":status" {
                status = value.parse().ok();
            } else if KEPT.contains(&&*name) || name.starts_with("x-") {
                kept.entry(name).or_default().push(value);
            }
        }
        stream.is_ended |= end_stream;
        match status {
            None => {
                stream.trailers = kept.into_iter().map(|(name, values)| (name, values.join(","))).collect();
            }
            Some(status) if status / 100 == 1 => stream.informational.push(status),
            Some(_) if stream.status.is_some() => return Err("a second answer".to_owned()),
            Some(_) => (stream.status, stream.headers) = (status, kept),
        }
        Ok(())
    }

    /// Notes where these streams stand.
    pub(super) fn mark(&mut self, mark: &Value) {
        let goaways: Vec<_> = self.goaways.iter().map(|(_, code)| code).collect();
        let mut all = Map::from_iter([("goaways".to_owned(), json!(goaways))]);
        for stream in mark["streams"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            let at = u32::try_from(stream).ok().and_then(|stream| self.streams.get(&stream));
            all.insert(stream.to_string(), at.cloned().unwrap_or_default().standing());
        }
        self.marks.insert(mark["name"].as_str().unwrap_or_default().to_owned(), all.into());
    }

    /// As it was recorded: streams of one outcome that follow each other share an entry.
    pub(super) fn record(&self, group: &Value) -> Value {
        let mut runs: Vec<(u32, u32, &Stream)> = Vec::new();
        for (&number, stream) in &self.streams {
            match runs.last_mut() {
                Some((_, last, of)) if *last + 2 == number && *of == stream => *last = number,
                _ => runs.push((number, number, stream)),
            }
        }
        let streams = runs.into_iter().map(|(first, last, stream)| {
            let ids = if first == last { first.to_string() } else { format!("{first}-{last}") };
            (ids, stream.record())
        });
        let pings = match self.ping_acks.len() {
            ..=4 => json!(self.ping_acks),
            many => json!(format!("{many} acks")),
        };
        json!({
            "group": group,
            "end": self.end.unwrap_or("open"),
            "goaways": self.goaways,
            "streams": streams.collect::<Map<_, _>>(),
            "ping_acks": pings,
            "settings": self.settings,
            "server_window": self.server_window,
            "settings_acks": self.settings_acks,
            "marks": self.marks,
            "text": from_latin1(&self.text[..self.text.len().min(600)]),
            "malformed": self.malformed,
        })
    }
}

/// What must agree; `recorded` says what races.
pub(super) fn digest(seen: &Value, recorded: &Value) -> Value {
    let loose: Vec<&str> = list(&recorded["loose"]).filter_map(Value::as_str).collect();
    let is_open = seen["end"] == "open";
    let mut digest = json!({
        "text": masked(seen["text"].as_str().unwrap_or_default()),
        "marks": seen["marks"].as_object().cloned().unwrap_or_default(),
        "malformed": list(&seen["malformed"]).next().is_some(),
    });
    if !loose.contains(&"end") {
        digest["open"] = is_open.into();
    }
    if !loose.contains(&"goaway") {
        let mut codes: Vec<_> = list(&seen["goaways"]).filter_map(|goaway| goaway[1].as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        digest["goaway"] = json!(codes);
    }
    if !loose.contains(&"streams") {
        let races =
            |id: u32| loose.iter().any(|ids| ids_of(ids).is_some_and(|mut ids| ids.any(|one| one == id)));
        let mut streams = Map::new();
        for (ids, stream) in seen["streams"].as_object().into_iter().flatten() {
            for id in ids_of(ids).expect("a number, or a range").filter(|id| !races(*id)) {
                streams.insert(id.to_string(), outcome(stream, loose.contains(&"rst")));
            }
        }
        digest["streams"] = streams.into();
    }
    if is_open {
        digest["ping_acks"] = seen["ping_acks"].clone();
    }
    if seen["group"] == "settings" {
        digest["settings"] = seen["settings"].clone();
        if is_open {
            digest["settings_acks"] = seen["settings_acks"].clone();
            digest["server_window"] = seen["server_window"].clone();
        }
    }
    digest
}

fn outcome(stream: &Value, rst_races: bool) -> Value {
    let is_2xx = stream["status"].as_u64().is_some_and(|status| status / 100 == 2);
    let or_empty = |value: &Value, empty: Value| if value.is_null() { empty } else { value.clone() };
    json!({
        "status": stream["status"],
        "body": is_2xx.then_some(&stream["body"]),
        "trailers": or_empty(&stream["trailers"], json!({})),
        "informational": or_empty(&stream["informational"], json!([])),
        "end_stream": stream["end_stream"],
        "headers": stream["headers"],
        "rst": (!rst_races).then_some(&stream["rst"]),
    })
}

/// `1=200{content-length:12} 3=RST_CODE GOAWAY(1,NO_ERROR) closed`
pub(super) fn line(seen: &Value) -> String {
    let mut parts = Vec::new();
    for (ids, stream) in seen["streams"].as_object().into_iter().flatten() {
        let mut what: Vec<String> = list(&stream["informational"]).map(Value::to_string).collect();
        if let Some(status) = stream["status"].as_u64() {
            let headers = stream["headers"].as_object().into_iter().flatten();
            let headers: Vec<_> = headers.map(|(name, value)| format!("{name}:{}", values(value))).collect();
            let cut = if stream["end_stream"] == true { "" } else { "(cut)" };
            what.push(format!("{status}{{{}}}{cut}", headers.join(",")));
        }
        what.extend(stream["rst"].as_str().map(str::to_owned));
        parts.push(format!("{ids}={}", what.join("+")));
    }
    for goaway in list(&seen["goaways"]) {
        parts.push(format!("GOAWAY({},{})", goaway[0], values(&goaway[1])));
    }
    match &seen["ping_acks"] {
        Value::Array(acks) if acks.is_empty() => {}
        acks => parts.push(acks.as_str().unwrap_or("pong").to_owned()),
    }
    if let Some(text) = seen["text"].as_str().filter(|text| !text.is_empty()) {
        parts.push(format!("{text:?}"));
    }
    parts.extend(list(&seen["malformed"]).map(Value::to_string));
    if seen["group"] == "settings" {
        parts.push(format!("SETTINGS {} window {}", seen["settings"], seen["server_window"]));
    }
    parts.push(if seen["end"] == "open" { "open" } else { "closed" }.to_owned());
    parts.join(" ")
}

fn values(value: &Value) -> String {
    match value {
        Value::Array(all) => all.iter().map(values).collect::<Vec<_>>().join("|"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An answer of HTTP/1, without what varies.
fn masked(text: &str) -> Value {
    let octets = crate::recording::latin1(text);
    let answers = answers(&octets, &[]);
    let each = answers.iter().map(|answer| {
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| name != "date" && name != "server");
        headers.sort_unstable();
        json!([answer.version, answer.status, headers, from_latin1(&answer.body)])
    });
    json!([each.collect::<Vec<_>>(), answers.is_empty() && !text.is_empty()])
}

/// Of `5` or `1-199`: every other number.
fn ids_of(ids: &str) -> Option<impl Iterator<Item = u32> + use<>> {
    let (first, last) = ids.split_once('-').unwrap_or((ids, ids));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    Some((first..=last).step_by(2))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A long text by its length.
fn text(octets: &[u8]) -> String {
    match octets.len() {
        ..=200 => from_latin1(octets),
        long => format!("{long} bytes"),
    }
}

/// The headers that were recorded: those that do not vary.
const KEPT: &[&str] = &[
    "allow",
    "alt-svc",
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "location",
    "proxy-connection",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// No server sends a larger frame: it is no frame.
const LARGEST: u32 = 1 << 20;
