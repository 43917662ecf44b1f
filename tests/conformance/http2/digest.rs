//! What has come of the server, in the form of the recording.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cases::list;
use crate::frames::seen::{Field, Seen, Stream};
use crate::http::answers;
use crate::recording::{from_latin1, latin1};

/// As it was recorded: streams of one outcome that follow each other share an entry.
pub(super) fn record(seen: &Seen, group: &Value, marks: &Map<String, Value>) -> Value {
    let mut runs: Vec<(u32, u32, Value)> = Vec::new();
    for (&number, stream) in &seen.streams {
        let stream = record_stream(stream);
        match runs.last_mut() {
            Some((_, last, of)) if *last + 2 == number && *of == stream => *last = number,
            _ => runs.push((number, number, stream)),
        }
    }
    let streams = runs.into_iter().map(|(first, last, stream)| {
        let ids = if first == last { first.to_string() } else { format!("{first}-{last}") };
        (ids, stream)
    });
    let pings = match seen.ping_acks.len() {
        ..=4 => json!(seen.ping_acks),
        many => json!(format!("{many} acks")),
    };
    json!({
        "group": group,
        "end": seen.end.unwrap_or("open"),
        "goaways": seen.goaways,
        "streams": streams.collect::<Map<_, _>>(),
        "ping_acks": pings,
        "settings": seen.settings,
        "server_window": seen.server_window,
        "settings_acks": seen.settings_acks,
        "marks": marks,
        "text": from_latin1(&seen.text[..seen.text.len().min(600)]),
        "malformed": seen.malformed,
    })
}

fn record_stream(stream: &Stream) -> Value {
    let mut trailers = kept(&stream.trailers);
    for values in trailers.values_mut() {
        *values = vec![values.join(",")];
    }
    let trailers = trailers.into_iter().map(|(name, mut values)| (name, json!(values.pop())));
    json!({
        "status": stream.status,
        "informational": stream.informational,
        "headers": kept(&stream.headers),
        "body": text(&stream.body),
        "trailers": trailers.collect::<BTreeMap<_, _>>(),
        "end_stream": stream.is_ended,
        "rst": stream.rst,
    })
}

fn kept(fields: &[Field]) -> BTreeMap<&str, Vec<String>> {
    let mut kept: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in fields.iter().filter(|(name, _)| KEPT.contains(&&**name) || name.starts_with("x-")) {
        kept.entry(name).or_default().push(text(value));
    }
    kept
}

/// Where the streams of a mark stand, by its name.
pub(super) fn mark(seen: &Seen, mark: &Value) -> (String, Value) {
    let goaways: Vec<_> = seen.goaways.iter().map(|(_, code)| code).collect();
    let mut all = Map::from_iter([("goaways".to_owned(), json!(goaways))]);
    for number in list(&mark["streams"]).filter_map(Value::as_u64) {
        let at = u32::try_from(number).ok().and_then(|number| seen.streams.get(&number));
        let stream = at.cloned().unwrap_or_default();
        let standing = json!({
            "status": stream.status,
            "bytes": stream.body.len(),
            "end_stream": stream.is_ended,
            "rst": stream.rst,
        });
        all.insert(number.to_string(), standing);
    }
    (mark["name"].as_str().unwrap_or_default().to_owned(), all.into())
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
    let octets = latin1(text);
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
