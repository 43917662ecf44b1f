//! The octets of recorded steps: `{"headers": {"stream", "fields", "end_stream"}}` and their like, as `h2probe.py` has them.

use serde_json::Value;

use super::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HAS_PRIORITY, HEADERS, PADDED, PING, PREFACE,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, literal,
};
use crate::cases::list;
use crate::recording::latin1;

/// The octets of a step that sends.
pub(crate) fn encode(kind: &str, argument: &Value, add: u32) -> Result<Vec<u8>, String> {
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
pub(crate) fn small(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

/// A longer block goes on in CONTINUATION.
const LONGEST_BLOCK: usize = 16_000;
