//! Whole answers: `date-server.json`, and `status.*` and `reason.*` of `known-methods-status.json`.
//!
//! The recorded handler is written in steps against a response that is written to; a handler of axum
//! returns a head, and then its body is asked for pieces. So the steps before the first that starts the
//! answer make the head, in the handler; all others are carried out by the body as it is polled:
//!
//! | step | here |
//! |---|---|
//! | status, reason, header, append, content-length, on-starting-header | the head |
//! | write | a piece of the body, which has no known length |
//! | write-unflushed | kept until the next write, flush or end; it starts nothing |
//! | start, flush | the handler returns; the body waits once before it goes on |
//! | complete, the end | the end of the body; without a piece before, an empty body |
//! | read-body | the request's body is read to its end, by the handler or by the body |
//! | throw, and a step of the head when that is gone | a panic: of the handler, or of the body, which is also tried with an error |
//! | abort | [`ConnectionInfo::abort`] |
//! | upgrade | 101 if the request asks for it, else a panic |
//! | catch | a body that cannot be read does not matter; no other step but `throw` throws |

pub(crate) mod differences;

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use kestrel_rs::test::{TestConnection, TestServer};
use kestrel_rs::{ConnectionInfo, Limits};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use self::differences::{DATE_SERVER, STATUS, is_cut};
use crate::http::{Answer, answers_and_rest, find};
use crate::recording::{Case, from_latin1, latin1, octets};
use crate::table::{Different, Outcome, replay_all};

#[tokio::test(start_paused = true)]
async fn answers_are_sent_as_kestrel_sends_them() {
    let servers = Servers::start();
    replay_all("facts/date-server.json", DATE_SERVER, async |case| {
        servers.replay(case, &octets(&case.input["request"])).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn statuses_are_sent_as_kestrel_sends_them() {
    let servers = Servers::start();
    replay_all("facts/known-methods-status.json", STATUS, async |case| {
        if case.is_in("method") {
            return Ok(()); // of `facts`
        }
        let text = |name: &str| case.input[name].as_str();
        let method = text("method").unwrap_or("GET");
        let target = if method == "CONNECT" { "a" } else { "/" };
        let version = text("version").unwrap_or("HTTP/1.1");
        let headers = text("headers").unwrap_or_default();
        let request = format!("{method} {target} {version}\r\nHost: a\r\n{headers}\r\n");
        servers.replay(case, request.as_bytes()).await
    })
    .await;
}

/// The servers that cases are replayed against, and the steps of the case in work.
struct Servers {
    ordinary: TestServer,
    without_server_header: TestServer,
    script: SharedScript,
}

type SharedScript = Arc<Mutex<Script>>;

/// A handler that panics poisons nothing that matters.
fn lock(script: &SharedScript) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers {
    fn start() -> Self {
        let script = SharedScript::default();
        let app: Router = Router::new().fallback(handle).with_state(script.clone());
        let without = Limits::default().without_server_header();
        Self {
            ordinary: TestServer::new(app.clone()),
            without_server_header: TestServer::builder(app).limits(without).start(),
            script,
        }
    }

    async fn replay(&self, case: &Case, request: &[u8]) -> Outcome {
        if is_cut(case) {
            return Err("not replayed".into());
        }
        let mut script = Script::read(&case.input["handler"])?;
        let throws = script.steps.iter().any(|step| matches!(step, Step::Throw));
        for failure in [Failure::Panic, Failure::Error].into_iter().take(if throws { 2 } else { 1 }) {
            script.failure = failure;
            *lock(&self.script) = script.clone();
            self.replay_once(case, request).await?;
        }
        Ok(())
    }

    async fn replay_once(&self, case: &Case, request: &[u8]) -> Outcome {
        let server =
            if case.input["server_header"] == false { &self.without_server_header } else { &self.ordinary };
        let mut connection = server.connect().await.map_err(|error| error.to_string())?;
        let mut received = Vec::new();
        // The server may refuse before it has read everything.
        if let Some(then) = case.input["then"].as_str() {
            _ = connection.send(request).await;
            _ = tokio::time::timeout(SILENCE, connection.read_buf(&mut received)).await;
            _ = connection.send([&latin1(then), SECOND].concat()).await;
        } else {
            _ = connection.send([request, SECOND].concat()).await;
        }
        let end = read_to_end(&mut connection, &mut received).await;
        compare(case, request, &received, end)
    }
}

const SECOND: &[u8] = b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
/// What the answer to the second request begins with.
const SECOND_ANSWER: &[u8] = b"HTTP/1.1 298 Second\r\n";
const SILENCE: Duration = Duration::from_millis(400);

/// Reads until the connection ends, or nothing comes any more.
async fn read_to_end(connection: &mut TestConnection, received: &mut Vec<u8>) -> &'static str {
    loop {
        match tokio::time::timeout(Duration::from_millis(1500), connection.read_buf(received)).await {
            Ok(Ok(0)) => return "closed",
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return "reset",
            Err(_) => return "open",
        }
    }
}

fn compare(case: &Case, request: &[u8], received: &[u8], end: &str) -> Outcome {
    let second = find(received, SECOND_ANSWER);
    let first = &received[..second.unwrap_or(received.len())];
    let is_head = request.starts_with(b"HEAD ");
    let here = shape(first, is_head, second.is_some(), end);
    // Whatever was recorded, and no row of a table covers it.
    assert!(here["rest"] == "", "{}: octets that are no answer: {here}", case.id);
    assert!(!first.is_empty() || end == "reset", "{}: silence", case.id);
    let recorded = recorded(case, is_head);
    if here == recorded { Ok(()) } else { Err(Different::new(format!("recorded {recorded}"), here)) }
}

fn recorded(case: &Case, is_head: bool) -> Value {
    let raw = latin1(case.output["raw"].as_str().unwrap_or_default());
    let end = case.output["end"].as_str().unwrap_or("closed");
    shape(&raw, is_head, case.output["keep_alive"] == true, end)
}

/// What is compared of the answers to the first request, and what became of the connection.
fn shape(raw: &[u8], is_head: bool, goes_on: bool, end: &str) -> Value {
    let (answers, rest) = answers_and_rest(raw, &[is_head]);
    let answers = answers.iter().map(|answer| {
        json!({
            "line": format!("{} {} {}", answer.version, answer.status, answer.reason),
            "headers": headers(answer),
            "body": from_latin1(&answer.body),
            "complete": answer.complete,
        })
    });
    json!({ "answers": answers.collect::<Value>(), "rest": from_latin1(rest), "goes_on": goes_on, "end": end })
}

/// The headers of an answer, without what is different each time.
fn headers(answer: &Answer) -> Value {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &answer.headers {
        let value = match &**name {
            "date" if value.ends_with(" GMT") && !value.contains("1970") => "DATE".to_owned(),
            "server" if value == "kestrel-rs" => "Kestrel".to_owned(),
            // Options have no case, and beside `close` no other matters.
            "connection" => {
                let value = value.to_ascii_lowercase();
                let closes = value.split(',').any(|option| option.trim() == "close");
                if closes { "close".to_owned() } else { value }
            }
            _ => value.clone(),
        };
        headers.entry(name).or_default().push(value);
    }
    for values in headers.values_mut() {
        values.sort_unstable();
    }
    json!(headers)
}

/// A recorded handler.
#[derive(Clone, Default)]
struct Script {
    steps: VecDeque<Step>,
    failure: Failure,
    catches: bool,
}

/// How a body throws.
#[derive(Clone, Copy, Debug, Default)]
enum Failure {
    #[default]
    Panic,
    Error,
}

#[derive(Clone, Debug)]
enum Step {
    Status(StatusCode),
    Reason(ReasonPhrase),
    /// `None` removes.
    Header(HeaderName, Option<HeaderValue>),
    Append(HeaderName, HeaderValue),
    Write(String),
    WriteUnflushed(String),
    Start,
    Complete,
    ReadBody,
    Throw,
    Abort,
    Upgrade,
}

impl Step {
    fn is_of_head(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Reason(_) | Self::Header(..) | Self::Append(..))
    }
}

/// Why a step has no counterpart.
const NO_SUCH_STATUS: &str = "http: no such status";
const NO_SUCH_REASON: &str = "hyper: no such reason phrase";

impl Script {
    fn read(handler: &Value) -> Result<Self, String> {
        let mut steps = VecDeque::new();
        let mut started = false;
        for step in handler.as_array().into_iter().flatten() {
            let Some(step) = read_step(step)? else { continue };
            started |= matches!(step, Step::Write(_) | Step::Start | Step::Complete);
            steps.push_back(if started && step.is_of_head() { Step::Throw } else { step });
        }
        let catches = handler[0][0] == "catch";
        Ok(Self { steps, failure: Failure::default(), catches })
    }

    /// Carries out the steps of the head; those of the body are left.
    async fn head(&mut self, info: &ConnectionInfo, request: &mut Request) -> Response {
        let mut response = Response::new(());
        let mut unflushed = String::new();
        while let Some(step) = self.steps.pop_front() {
            let headers = response.headers_mut();
            match step {
                Step::Status(status) => *response.status_mut() = status,
                Step::Reason(reason) => _ = response.extensions_mut().insert(reason),
                Step::Header(name, Some(value)) => _ = headers.insert(name, value),
                Step::Header(name, None) => _ = headers.remove(name),
                Step::Append(name, value) => _ = headers.append(name, value),
                Step::WriteUnflushed(text) => unflushed += &text,
                Step::ReadBody => {
                    let read = std::mem::take(request.body_mut()).collect().await;
                    assert!(self.catches || read.is_ok(), "the body is bad");
                }
                Step::Throw => panic!("boom"),
                Step::Abort => info.abort(),
                Step::Upgrade => {
                    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
                    let asks = upgrade.is_some() && request.method() != Method::CONNECT;
                    assert!(asks, "not a request that can be upgraded");
                    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                }
                Step::Complete => self.steps.clear(),
                Step::Write(_) | Step::Start => {
                    self.steps.push_front(step);
                    break;
                }
            }
        }
        if !unflushed.is_empty() {
            self.steps.push_front(Step::WriteUnflushed(unflushed));
        }
        let (head, ()) = response.into_parts();
        let bodiless = !self
            .steps
            .iter()
            .any(|step| matches!(step, Step::Write(_) | Step::WriteUnflushed(_) | Step::Start));
        let body = if bodiless {
            Body::empty()
        } else {
            Body::new(Pieces { script: std::mem::take(self), request: std::mem::take(request.body_mut()) })
        };
        Response::from_parts(head, body)
    }
}

fn read_step(step: &Value) -> Result<Option<Step>, String> {
    let text = |i: usize| step[i].as_str().map(str::to_owned);
    let name = || HeaderName::try_from(step[1].as_str().unwrap_or_default()).map_err(|e| e.to_string());
    let value = |i: usize| step[i].as_str().map(HeaderValue::from_str).transpose().map_err(|e| e.to_string());
    Ok(Some(match step[0].as_str().unwrap_or_default() {
        "status" => {
            let status = step[1].as_i64().and_then(|status| u16::try_from(status).ok());
            let status = status.and_then(|status| StatusCode::from_u16(status).ok());
            Step::Status(status.ok_or(NO_SUCH_STATUS)?)
        }
        "reason" => {
            // Without words, Kestrel takes its own.
            let Some(reason) = text(1).filter(|reason| !reason.is_empty()) else { return Ok(None) };
            if !reason.is_ascii() {
                return Err(NO_SUCH_REASON.to_owned());
            }
            Step::Reason(ReasonPhrase::try_from(reason.into_bytes()).map_err(|_| NO_SUCH_REASON)?)
        }
        "header" | "on-starting-header" => Step::Header(name()?, value(2)?),
        "append" => Step::Append(name()?, value(2)?.ok_or("no value")?),
        "content-length" => {
            let length = step[1].to_string();
            Step::Header(
                header::CONTENT_LENGTH,
                Some(HeaderValue::try_from(length).map_err(|e| e.to_string())?),
            )
        }
        "write" => Step::Write(text(1).ok_or("no text")?),
        "write-unflushed" => Step::WriteUnflushed(text(1).ok_or("no text")?),
        "start" | "flush" => Step::Start,
        "complete" => Step::Complete,
        "read-body" => Step::ReadBody,
        "throw" => Step::Throw,
        "abort" => Step::Abort,
        "upgrade" => Step::Upgrade,
        "catch" => return Ok(None),
        other => return Err(format!("no such step: {other}")),
    }))
}

async fn handle(info: ConnectionInfo, State(script): State<SharedScript>, mut request: Request) -> Response {
    if request.uri().path() == "/second" {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(298).expect("it is one");
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Second"));
        return response;
    }
    let mut script = std::mem::take(&mut *lock(&script));
    script.head(&info, &mut request).await
}

/// What of a script comes after the head.
struct Pieces {
    script: Script,
    request: Body,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        let this = &mut *self;
        let mut unflushed = String::new();
        loop {
            match this.script.steps.pop_front() {
                Some(Step::WriteUnflushed(text)) => unflushed += &text,
                Some(Step::Write(text)) => {
                    let text = std::mem::take(&mut unflushed) + &text;
                    return Poll::Ready(Some(Ok(Frame::data(text.into()))));
                }
                Some(Step::Start) if unflushed.is_empty() => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Start) => return Poll::Ready(Some(Ok(Frame::data(unflushed.into())))),
                Some(Step::Throw) => match this.script.failure {
                    Failure::Panic => panic!("boom"),
                    Failure::Error => return Poll::Ready(Some(Err("boom".to_owned()))),
                },
                Some(Step::ReadBody) => {
                    this.script.steps.push_front(Step::ReadBody);
                    match ready!(Pin::new(&mut this.request).poll_frame(cx)) {
                        Some(Ok(_)) => {}
                        Some(Err(error)) if !this.script.catches => {
                            return Poll::Ready(Some(Err(error.to_string())));
                        }
                        Some(Err(_)) | None => _ = this.script.steps.pop_front(),
                    }
                }
                Some(Step::Complete) | None => {
                    this.script.steps.clear();
                    let last = (!unflushed.is_empty()).then(|| Ok(Frame::data(unflushed.into())));
                    return Poll::Ready(last);
                }
                Some(step) => unreachable!("{step:?} is of the head"),
            }
        }
    }
}
