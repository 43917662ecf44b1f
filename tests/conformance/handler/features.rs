//! What a handler can ask and set beside the request and its answer: the extractors.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::RequestPartsExt;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use http_body_util::BodyExt;
use kestrel_rs::request::{
    ErrorCode, RequestLimits, RequestTrailers, Reset, ResponseTrailers, SynchronousIo,
};
use kestrel_rs::{ConnectionInfo, MinDataRate, RequestAborted, RequestId};
use serde_json::{Value, json};

use super::answer::Answer;
use super::{Failure, Given, Outcome, lock, name, other};

pub(super) struct Features {
    info: ConnectionInfo,
    id: RequestId,
    aborted: RequestAborted,
    limits: RequestLimits,
    pub(super) synchronous_io: SynchronousIo,
    received: RequestTrailers,
    // `None` where the script has no use for them: a handler that does not ask pays nothing, and is
    // the one to be tested mostly.
    trailers: Option<ResponseTrailers>,
    reset: Option<Reset>,
    /// What was to be noted when the request is aborted.
    noted: Arc<Mutex<Vec<Value>>>,
}

/// What a connection keeps from one request to the next.
#[derive(Clone, Default)]
struct State(BTreeMap<String, Value>);

impl Features {
    pub(super) async fn of(parts: &mut Parts, script: &[Value]) -> Self {
        const ALL: &str = "the default stack has its layer";
        let uses =
            |words: &[&str]| script.iter().any(|step| words.iter().any(|word| name(step).contains(word)));
        let trailers = if uses(&["trailer"]) { Some(parts.extract().await.expect(ALL)) } else { None };
        let reset = if uses(&["reset", "abort"]) { parts.extract().await.expect(ALL) } else { None };
        Self {
            info: parts.extract().await.expect(ALL),
            id: parts.extract().await.expect(ALL),
            aborted: parts.extract().await.expect(ALL),
            limits: parts.extract().await.expect(ALL),
            synchronous_io: parts.extract().await.expect(ALL),
            received: parts.extract().await.expect(ALL),
            trailers,
            reset,
            noted: Arc::default(),
        }
    }

    pub(super) async fn aborted(&self) {
        self.aborted.aborted().await;
    }

    /// `None`: there is no such step.
    pub(super) async fn step(&self, step: &Value, parts: &Parts, answer: &mut Answer) -> Option<Outcome> {
        if self.act(step) {
            return Some(Ok(Given::Nothing));
        }
        if let Some(outcome) = self.limit(step).or_else(|| self.change(step)) {
            return Some(outcome);
        }
        if let Some(outcome) = self.write_blocking(step, answer).await {
            return Some(outcome);
        }
        self.ask(step, parts).await
    }

    /// Carries out a step that gives nothing.
    fn act(&self, step: &Value) -> bool {
        match name(step) {
            "abort" => match &self.reset {
                // Over HTTP/2, to abort a request is to reset its stream.
                Some(reset) => reset.stream(ErrorCode::INTERNAL_ERROR),
                None => self.info.abort(),
            },
            "connection-abort" => self.info.abort(),
            "request-close" | "request-close-by-connection-info" => self.info.request_close(),
            "on-aborted" => self.note_when_aborted(step[1].clone()),
            "set-sync-io" if step[1] == true => self.synchronous_io.allow(),
            "set-sync-io" => self.synchronous_io.refuse(),
            "state-set" => {
                let mut state = self.info.get::<State>().unwrap_or_default();
                state.0.insert(step[1].as_str().unwrap_or_default().to_owned(), step[2].clone());
                self.info.insert(state);
            }
            // Whoever waits can stop to; and a token is one and the same at any time.
            "can-be-cancelled" | "keep-token" | "same-token" => {}
            _ => return false,
        }
        true
    }

    async fn ask(&self, step: &Value, parts: &Parts) -> Option<Outcome> {
        let text = step[1].as_str().unwrap_or_default();
        let value = match name(step) {
            "close-requested" => at_once(self.info.close_requested()).await.into(),
            "connection-closed" => self.info.is_closed().into(),
            "aborted" | "kept-token" => self.aborted.is_aborted().into(),
            "wait-kept-token" => {
                let time = Duration::from_millis(step[1].as_u64().unwrap_or_default());
                tokio::time::timeout(time, self.aborted()).await.is_ok().into()
            }
            "aborted-callbacks" => lock(&self.noted).clone().into(),
            "trace-id" => masked(&self.id).into(),
            "connection-id-length" => self.info.id().to_string().len().into(),
            "connection-id-is-trace-prefix" => {
                self.id.to_string().starts_with(&self.info.id().to_string()).into()
            }
            "state-get" => self.info.get::<State>().and_then(|state| state.0.get(text).cloned()).into(),
            "method" => parts.method.as_str().into(),
            "scheme" => if self.info.is_https() { "https" } else { "http" }.into(),
            "request-header" => lines(&parts.headers, text).map_or(Value::Null, Value::from),
            "request-content-length" => {
                let length = lines(&parts.headers, "content-length");
                length.and_then(|length| length[0].parse::<u64>().ok()).into()
            }
            "supports-trailers" => self.trailers.as_ref()?.supported().into(),
            "declared-trailers" => {
                let names = lines(&parts.headers, "trailer").unwrap_or_default().join(",");
                names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>().into()
            }
            "supports-request-trailers" => true.into(),
            "request-trailers-available" | "check-trailers-available" => self.received.is_available().into(),
            "request-trailers" | "get-trailer" => match self.received.get() {
                Ok(trailers) if text.is_empty() => all_lines(trailers),
                Ok(trailers) => lines(trailers, text).unwrap_or_default().into(),
                Err(error) => return Some(Err(other(error))),
            },
            _ => return None,
        };
        Some(Ok(Given::Value(value)))
    }

    /// A step that asks for a limit.
    pub(super) fn limit(&self, step: &Value) -> Option<Outcome> {
        let limits = &self.limits;
        let value = match name(step) {
            "max-body" => limits.max_request_body_size().into(),
            // To set what is set already changes nothing, if it may be set.
            "max-body-read-only" => {
                limits.set_max_request_body_size(limits.max_request_body_size()).is_err().into()
            }
            "request-rate" => shown(limits.min_request_body_data_rate()),
            "response-rate" => shown(limits.min_response_data_rate()),
            "sync-io" => self.synchronous_io.is_allowed().into(),
            "new-rate" => match new_rate(step) {
                Ok(rate) => shown(Some(rate)),
                Err(failure) => return Some(Err(failure)),
            },
            _ => return self.set_limit(step),
        };
        Some(Ok(Given::Value(value)))
    }

    fn set_limit(&self, step: &Value) -> Option<Outcome> {
        let limits = &self.limits;
        let result = match name(step) {
            "set-max-body" => limits.set_max_request_body_size(step[1].as_u64()),
            // A rate is none without numbers.
            "set-request-rate" => limits.set_min_request_body_data_rate(new_rate(step).ok()),
            "set-response-rate" => limits.set_min_response_data_rate(new_rate(step).ok()),
            _ => return None,
        };
        Some(result.map(|()| Given::Nothing).map_err(other))
    }

    /// A step that changes what the client gets after the answer's body, or in its place.
    fn change(&self, step: &Value) -> Option<Outcome> {
        let text = |i: usize| step[i].as_str().unwrap_or_default();
        let result = match (name(step), &self.trailers, &self.reset) {
            ("declare-trailer", Some(trailers), _) => trailers.declare(text(1)),
            ("append-trailer", Some(trailers), _) => match &step[2] {
                Value::Array(values) => values
                    .iter()
                    .try_for_each(|value| trailers.append(text(1), value.as_str().unwrap_or_default())),
                _ => trailers.append(text(1), text(2)),
            },
            ("reset", _, Some(reset)) => {
                // In .NET the code is signed.
                let code = step[1].as_i64().and_then(|code| u32::try_from(code & i64::from(u32::MAX)).ok());
                reset.stream(code.unwrap_or_default());
                Ok(())
            }
            ("reset", _, None) => return Some(Err(other("no streams to reset"))),
            _ => return None,
        };
        Some(result.map(|()| Given::Nothing).map_err(other))
    }

    /// Writes with blocking calls, where that is allowed.
    async fn write_blocking(&self, step: &Value, answer: &mut Answer) -> Option<Outcome> {
        let text = step[1].as_str().unwrap_or_default().to_owned();
        match name(step) {
            "write-sync"
            | "write-sync-span"
            | "write-byte"
            | "flush-sync"
            | "copy-to-response-sync"
            | "stream-writer-dispose" => {}
            _ => return None,
        }
        let written =
            self.synchronous_io.write(move |writer| std::io::Write::write_all(writer, text.as_bytes()));
        Some(match written {
            Ok(body) => match body.collect().await {
                Ok(body) => {
                    answer.write(&body.to_bytes()).await;
                    Ok(Given::Nothing)
                }
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(other(error)),
        })
    }

    fn note_when_aborted(&self, label: Value) {
        let (aborted, noted) = (self.aborted.clone(), self.noted.clone());
        tokio::spawn(async move {
            aborted.aborted().await;
            lock(&noted).push(label);
        });
    }
}

/// Whether something is ready without a wait.
async fn at_once(ready: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(Duration::ZERO, ready).await.is_ok()
}

/// An identity with the mask of the recording in the place of what is different each time.
fn masked(id: &impl Display) -> String {
    let id = id.to_string();
    id.split_once(':').map_or_else(|| id.clone(), |(_, number)| format!("<connection>:{number}"))
}

fn shown(rate: Option<MinDataRate>) -> Value {
    rate.map_or(Value::Null, |rate| {
        json!({"bytes_per_second": rate.bytes_per_second(), "grace_period_seconds": rate.grace_period().as_secs_f64()})
    })
}

fn new_rate(step: &Value) -> Result<MinDataRate, Failure> {
    // Not every number is one in JSON.
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    let bytes = number(&step[1]).ok_or_else(|| other("no number"))?;
    let grace = number(&step[2]).ok_or_else(|| other("no number"))?;
    MinDataRate::new(bytes, Duration::try_from_secs_f64(grace).map_err(other)?).map_err(other)
}

/// The lines of a header, if there are any.
fn lines(headers: &HeaderMap, name: &str) -> Option<Vec<String>> {
    let lines =
        headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
    Some(lines.collect::<Vec<_>>()).filter(|lines| !lines.is_empty())
}

fn all_lines(headers: &HeaderMap) -> Value {
    let lines = |name: &axum::http::HeaderName| (name.to_string(), lines(headers, name.as_str()).into());
    Value::Object(headers.keys().map(lines).collect())
}
