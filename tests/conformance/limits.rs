//! Options: what they are by default, what each setter refuses, what does not start.
//!
//! A value that the Rust type cannot hold (a negative size) counts as refused: it does not compile.

use std::fmt::Debug;
use std::time::Duration;

use kestrel_rs::{Http2Limits, Limits, MinDataRate};
use serde_json::Value;

use crate::differences::LIMITS;
use crate::options;
use crate::recording::{Case, cases};
use crate::table::{Outcome, Report, check};

#[test]
fn options_have_kestrels_defaults_and_refuse_what_it_refuses() {
    let mut report = Report::new("facts/limits.json", LIMITS);
    for case in cases("facts/limits.json") {
        let outcome = judge(&case);
        report.note(&case, outcome);
    }
    report.finish();
}

fn judge(case: &Case) -> Outcome {
    let Case { id, input, output } = case;
    match id.split('.').next().unwrap_or_default() {
        "defaults" | "defaults-default-builder" => {
            defaults(input["type"].as_str().unwrap_or_default(), output)
        }
        "set" => {
            let property = input["property"].as_str().unwrap_or_default();
            let here = match input["type"].as_str().unwrap_or_default() {
                "KestrelServerLimits" => set(property, &input["value"]),
                "Http2Limits" => set_http2(property, &input["value"]),
                kind => options::set(kind, property, &input["value"]),
            };
            here.agrees(&output["accepted"])
        }
        "min-data-rate" => min_data_rate(input).agrees(&output["accepted"]),
        "call" => options::call(id.trim_start_matches("call.")).agrees(&output["accepted"]),
        "start" if id.starts_with("start.buffers.") => buffers(input).agrees(&output["starts"]),
        _ => Setting::NotThere.agrees(&output["accepted"]),
    }
}

/// What came of giving a value.
pub(crate) enum Setting {
    Accepted,
    /// With the error, or the type that cannot hold the value.
    Refused(String),
    /// Accepted, and then something else stands there.
    Lost(String),
    /// There is no such option.
    NotThere,
}

impl Setting {
    fn agrees(self, accepted: &Value) -> Outcome {
        match self {
            Self::Accepted => check(*accepted == true, || "accepted"),
            Self::Refused(why) => check(*accepted == false, || format!("refused: {why}")),
            Self::Lost(limits) => check(false, || format!("it reads {limits}")),
            Self::NotThere => Err("no such option here".into()),
        }
    }

    /// `limits` after the option `name` was set, and should now read as `value`.
    fn of(limits: &Limits, name: &str, value: impl Debug) -> Self {
        let (expected, text) = (format!("{value:?}"), format!("{limits:?}"));
        match limits.check() {
            Err(error) if error.is_option() && error.to_string().contains(name) => {
                Self::Refused(error.to_string())
            }
            Err(error) => Self::Lost(format!("an error that does not name {name}: {error}")),
            Ok(()) if field(&text, name) == Some(&expected) => Self::Accepted,
            Ok(()) => Self::Lost(text),
        }
    }
}

fn set(property: &str, value: &Value) -> Setting {
    // The buffers are checked against each other: what is not under test is out of the way.
    let limits = Limits::default();
    let alone = limits.clone().max_request_buffer_size(None);
    let small = limits.clone().max_request_line_size(1).max_request_headers_total_size(1);
    macro_rules! set {
        ($limits:ident . $option:ident ( $value:expr )) => {
            match $value {
                Given::Is(value) => Setting::of(&$limits.$option(value), stringify!($option), value),
                Given::CannotBe(why) => Setting::Refused(why),
            }
        };
    }
    match property {
        "KeepAliveTimeout" => set!(limits.keep_alive_timeout(time(value))),
        "RequestHeadersTimeout" => set!(limits.request_headers_timeout(time(value))),
        "MaxConcurrentConnections" => {
            set!(limits.max_concurrent_connections(number::<usize>(value).optional()))
        }
        "MaxConcurrentUpgradedConnections" => {
            set!(limits.max_concurrent_upgraded_connections(number::<usize>(value).optional()))
        }
        "MaxRequestBodySize" => set!(limits.max_request_body_size(number::<u64>(value).optional())),
        "MaxRequestBufferSize" => set!(small.max_request_buffer_size(number::<usize>(value).optional())),
        "MaxResponseBufferSize" => set!(limits.max_response_buffer_size(number::<usize>(value).optional())),
        "MaxRequestLineSize" => set!(alone.max_request_line_size(number::<usize>(value).optional())),
        "MaxRequestHeadersTotalSize" => {
            set!(alone.max_request_headers_total_size(number::<usize>(value).optional()))
        }
        "MaxRequestHeaderCount" => set!(limits.max_request_header_count(number::<usize>(value).optional())),
        "MinRequestBodyDataRate" => set!(limits.min_request_body_data_rate(rate(value))),
        "MinResponseDataRate" => set!(limits.min_response_data_rate(rate(value))),
        _ => Setting::NotThere,
    }
}

fn set_http2(property: &str, value: &Value) -> Setting {
    macro_rules! set {
        ($option:ident ( $value:expr )) => {
            match $value {
                Given::Is(value) => {
                    let limits = Limits::default().http2(Http2Limits::default().$option(value));
                    Setting::of(&limits, stringify!($option), value)
                }
                Given::CannotBe(why) => Setting::Refused(why),
            }
        };
    }
    match property {
        "HeaderTableSize" => set!(header_table_size(number(value).required())),
        "InitialConnectionWindowSize" => set!(initial_connection_window_size(number(value).required())),
        "InitialStreamWindowSize" => set!(initial_stream_window_size(number(value).required())),
        "MaxFrameSize" => set!(max_frame_size(number(value).required())),
        "MaxRequestHeaderFieldSize" => set!(max_request_header_field_size(number::<u32>(value).optional())),
        "MaxStreamsPerConnection" => set!(max_streams_per_connection(number::<u32>(value).optional())),
        "KeepAlivePingDelay" => set!(keep_alive_ping_delay(time(value))),
        "KeepAlivePingTimeout" => set!(keep_alive_ping_timeout(time(value))),
        _ => Setting::NotThere,
    }
}

fn min_data_rate(input: &Value) -> Setting {
    let grace = match time(&input["grace_seconds"]) {
        Given::Is(Some(grace)) => grace,
        Given::Is(None) => return Setting::Refused("no grace is no Duration".to_owned()),
        Given::CannotBe(why) => return Setting::Refused(why),
    };
    match MinDataRate::new(float(&input["bytes_per_second"]), grace) {
        Ok(_) => Setting::Accepted,
        Err(error) if error.is_option() => Setting::Refused(error.to_string()),
        Err(error) => Setting::Lost(error.to_string()),
    }
}

/// `MaxRequestBufferSize = 1, MaxRequestLineSize = 2, MaxRequestHeadersTotalSize = 1`
fn buffers(input: &Value) -> Setting {
    let mut limits = Limits::default();
    for assignment in input["set"].as_str().unwrap_or_default().split(", ") {
        let Some((name, value)) = assignment.split_once(" = ") else { return Setting::NotThere };
        let value = value.parse().ok();
        limits = match (name, value) {
            ("MaxRequestBufferSize", bytes) => limits.max_request_buffer_size(bytes),
            ("MaxRequestLineSize", Some(bytes)) => limits.max_request_line_size(bytes),
            ("MaxRequestHeadersTotalSize", Some(bytes)) => limits.max_request_headers_total_size(bytes),
            _ => return Setting::NotThere,
        };
    }
    match limits.check() {
        Ok(()) => Setting::Accepted,
        Err(error) if error.to_string().contains("max_request_buffer_size") => {
            Setting::Refused(error.to_string())
        }
        Err(error) => Setting::Lost(error.to_string()),
    }
}

/// The recorded values of a new options object against what ours show of themselves.
fn defaults(kind: &str, recorded: &Value) -> Outcome {
    let defaults: Option<Box<dyn Debug>> = match kind {
        "KestrelServerLimits" => Some(Box::new(Limits::default())),
        "Http2Limits" => Some(Box::new(Http2Limits::default())),
        _ => options::defaults(kind),
    };
    let Some(defaults) = defaults else { return Setting::NotThere.agrees(&Value::Bool(true)) };
    let text = format!("{defaults:?}");
    let mut wrong = Vec::new();
    for (property, value) in recorded.as_object().into_iter().flatten() {
        if value.as_str().is_some_and(|value| value.starts_with('<')) {
            continue; // An object of its own, with a case of its own.
        }
        let name = if kind.ends_with("Limits") {
            snake_case(property)
        } else if let Some(name) = options::field_name(property) {
            name.to_owned()
        } else {
            continue;
        };
        let field = field(&text, &name);
        if !field.is_some_and(|field| readings(value).iter().any(|reading| reading == field)) {
            wrong.push(format!("{name}: recorded {value}, here {field:?}"));
        }
    }
    check(wrong.is_empty(), || wrong.join("; "))
}

/// How `Debug` may show a recorded value: as a number, a time, a rate, a name, a list; and each where there may be
/// none.
fn readings(value: &Value) -> Vec<String> {
    let mut readings = Vec::new();
    if value.is_null() || matches!(value.as_str(), Some("max" | "None" | "NoCertificate")) {
        readings.push("None".to_owned());
    }
    if let Some(number) = value.as_u64() {
        let time = Duration::from_secs(number);
        readings.extend([format!("{number}"), format!("{:?}", Some(number))]);
        readings.extend([format!("{time:?}"), format!("{:?}", Some(time))]);
    }
    if let Some(flag) = value.as_bool() {
        readings.push(flag.to_string());
    }
    if let Some(name) = value.as_str() {
        readings.push(format!("{:?}", name.to_ascii_lowercase()));
    }
    if let Some(list) = value.as_array() {
        let list: Vec<_> = list.iter().filter_map(Value::as_str).collect();
        readings.extend([format!("{list:?}"), format!("[{}]", list.join(", "))]);
    }
    if let Given::Is(rate @ Some(_)) = rate(value) {
        readings.push(format!("{rate:?}"));
    }
    readings
}

/// The text of a field in what a derived `Debug` writes.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!(" {name}: "))? + name.len() + 3;
    let mut depth = 0;
    let end = text[start..].find(|c| {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        depth < 0 || (depth == 0 && c == ',')
    })?;
    Some(text[start..start + end].trim_end())
}

/// A recorded value in the type that an option takes.
pub(crate) enum Given<T> {
    Is(T),
    /// The type has no such value.
    CannotBe(String),
}

impl<T> Given<Option<T>> {
    fn optional(self) -> Self {
        self
    }

    pub(crate) fn required(self) -> Given<T> {
        match self {
            Self::Is(Some(value)) => Given::Is(value),
            Self::Is(None) => Given::CannotBe("None is no number".to_owned()),
            Self::CannotBe(why) => Given::CannotBe(why),
        }
    }
}

pub(crate) fn number<T: TryFrom<i64>>(value: &Value) -> Given<Option<T>> {
    let Some(number) = value.as_i64() else { return Given::Is(None) };
    match T::try_from(number) {
        Ok(number) => Given::Is(Some(number)),
        Err(_) => Given::CannotBe(format!("{} cannot be {number}", std::any::type_name::<T>())),
    }
}

/// Seconds, or `infinite`, which is `None`.
pub(crate) fn time(value: &Value) -> Given<Option<Duration>> {
    match value.as_str() {
        Some("infinite") => Given::Is(None),
        Some("max") => Given::Is(Some(LONGEST)),
        _ => match Duration::try_from_secs_f64(value.as_f64().unwrap_or(f64::NEG_INFINITY)) {
            Ok(time) => Given::Is(Some(time)),
            Err(error) => Given::CannotBe(format!("Duration: {error}")),
        },
    }
}

fn rate(value: &Value) -> Given<Option<MinDataRate>> {
    if value.is_null() {
        return Given::Is(None);
    }
    let Given::Is(Some(grace)) = time(&value["grace_seconds"]) else {
        return Given::CannotBe("no rate has such a grace".to_owned());
    };
    match MinDataRate::new(float(&value["bytes_per_second"]), grace) {
        Ok(rate) => Given::Is(Some(rate)),
        Err(error) => Given::CannotBe(error.to_string()),
    }
}

fn float(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

/// `MaxRequestLineSize` to `max_request_line_size`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// The largest `TimeSpan`, in whole seconds.
const LONGEST: Duration = Duration::from_secs(922_337_203_685);
