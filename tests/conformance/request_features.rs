//! `request-features.json`: what a handler can ask and set, before, in and after the reading of the
//! body, and once its answer has begun; and what its client gets.
//!
//! The mapping of steps is that of [`answers`](crate::answers): those before the first piece of the
//! answer are carried out by the handler, all others by the body of the answer as it is polled. A getter
//! of what is the handler's own in axum (the status and headers of its answer) is passed over, as is
//! `max-body-read-only`, which the error of the setter tells.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use axum::response::Response;
use http_body::{Body as _, Frame};
use hyper::ext::ReasonPhrase;
use hyper::upgrade::OnUpgrade;
use kestrel_rs::request::RequestLimits;
use kestrel_rs::test::TestServer;
use kestrel_rs::{ConnectionInfo, MinDataRate, RequestAborted, RequestId};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::answers::{
    ends_unannounced, goes_on_after_its_end, has_forbidden_body, has_no_reason, has_no_status,
    has_transfer_encoding, is_empty_304, is_head, is_head_with_body, is_interim, is_silent, is_switching,
    is_tunnel,
};
use crate::http::answers_and_rest;
use crate::recording::{Case, Difference, check, replay_all};
use crate::support::latin1;

#[tokio::test(start_paused = true)]
async fn requests_have_what_kestrel_gives_them() {
    let run = SharedRun::default();
    let app: Router = Router::new().fallback(handle).with_state(run.clone());
    let server = TestServer::new(app);
    replay_all("request-features.json", DIFFERENCES, async |case| {
        check(not_replayed(case).is_none(), || "not replayed".to_owned())?;
        *lock(&run) = Run::new(&case.input["handler"]);
        if case.input["protocol"] == "h2" {
            http2(case, &server).await?;
        } else {
            http1(case, &server).await?;
        }
        compare_steps(case, &std::mem::take(&mut lock(&run).results))
    })
    .await;
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    ("an option of the server or a route: its layer has tests of its own", 130, asks_for_options),
    ("a callback at the start or the end of an answer is a layer", 48, has_callback),
    ("a pipe beside the stream: there is one body", 122, has_pipe),
    ("blocking calls: SynchronousIoLayer has tests of its own", 102, blocks),
    ("trailers: the extractors have tests of their own", 117, has_trailers),
    ("reset: its extractor has tests of its own", 17, resets),
    ("an upgraded stream or an extended CONNECT: tests/it/upgrades.rs", 36, upgrades),
    ("TLS, and what else belongs to a connection", 50, is_of_connection),
    ("handler and client take turns: tests/it/handlers.rs", 58, takes_turns),
    ("other steps that axum has no word for", 119, is_not_replayed),
    ("there is no such status in `http`", 7, has_no_status),
    ("a reason phrase of hyper is octets, and has no control characters", 2, has_no_reason),
    ("nothing-sent", 0, is_silent),
    ("interim-status", 36, is_interim),
    ("after a 101 nothing is HTTP: it has no length and no body, and is the last", 13, is_switching),
    ("tunnel", 4, is_tunnel),
    ("own-transfer-encoding", 12, has_transfer_encoding),
    ("announced-close", 2, ends_unannounced),
    ("the body of an answer to HEAD is not asked for", 0, is_head_with_body),
    ("axum says the length of an empty body, to HEAD too", 2, is_head),
    ("a body where none may be is left out, and the connection goes on", 11, has_forbidden_body),
    ("304: the length 0 is a router's word for the body that is not there", 1, is_empty_304),
    ("what a handler does once its answer is whole is nothing to the client", 17, goes_on_after_its_end),
    ("a write does not throw: what cannot be sent is a 500, or cuts the answer", 16, writes_too_much),
    ("a header is a `HeaderName` and a `HeaderValue`: UTF-8 passes, controls do not", 33, is_about_a_header),
    ("a limit is not negative: the type says so", 7, sets_negative),
    ("an unread body is read for 5 s whatever its length; over a limit it closes only if it was read", 7, has_body_limit),
    ("HTTP/2 has the rates of HTTP/1 to set, which do nothing there", 2, has_rate),
    ("the end of an answer is the end of its body: nothing is done after it", 1, has_late_callback),
    ("a request to upgrade names in Upgrade what to", 2, asks_to_upgrade),
    ("what came before an abort can still be read", 1, reads_after_abort),
    ("over HTTP/2 a body ends with its stream, not with a length of 0", 1, has_length_0),
    ("the client here does not see a reset after the answer", 1, leaves_body),
    ("the client here sends no extended CONNECT and no header of HTTP/1", 3, has_odd_fields),
];

fn first_unknown(case: &Case) -> &str {
    not_replayed(case).unwrap_or_default()
}

fn asks_for_options(case: &Case) -> bool {
    matches!(
        first_unknown(case),
        "endpoint"
            | "server"
            | "head"
            | "linger"
            | "listen"
            | "before_routing"
            | "after_routing"
            | "handlers"
    )
}

fn has_callback(case: &Case) -> bool {
    first_unknown(case).starts_with("on-") || first_unknown(case).starts_with("dispose-at")
}

fn has_pipe(case: &Case) -> bool {
    first_unknown(case).starts_with("pipe-")
}

fn blocks(case: &Case) -> bool {
    let step = first_unknown(case);
    let parts = ["sync", "read-byte", "write-byte", "begin-", "stream-reader", "stream-writer"];
    parts.iter().any(|part| step.contains(part)) && !step.contains("async")
}

fn has_trailers(case: &Case) -> bool {
    first_unknown(case).contains("trailer")
}

fn resets(case: &Case) -> bool {
    first_unknown(case) == "reset"
}

fn upgrades(case: &Case) -> bool {
    let step = first_unknown(case);
    ["upgrade", "accept", "connect-protocol", "is-extended", "duplex"]
        .iter()
        .any(|part| step.starts_with(part))
}

fn is_of_connection(case: &Case) -> bool {
    let step = first_unknown(case);
    let parts = [
        "tls",
        "client-certificate",
        "connection",
        "connect",
        "state-",
        "item-",
        "has",
        "features",
        "stream-id",
        "scheme",
    ];
    parts.iter().any(|part| step.starts_with(part))
}

fn takes_turns(case: &Case) -> bool {
    let step = first_unknown(case);
    let parts = [
        "signal",
        "await",
        "wait",
        "sleep",
        "keep-",
        "later",
        "look",
        "tell",
        "half_close",
        "reset",
        "close",
        "expect",
        "rst",
        "await_handler",
    ];
    parts.iter().any(|part| step.starts_with(part))
}

fn is_not_replayed(case: &Case) -> bool {
    not_replayed(case).is_some()
}

fn writes_too_much(case: &Case) -> bool {
    case.is_in("length")
}

fn is_about_a_header(case: &Case) -> bool {
    case.is_in("header-name") || case.is_in("header-value")
}

fn sets_negative(case: &Case) -> bool {
    steps(case).any(|step| name(step).starts_with("set-max-body") && step[1].as_i64().is_some_and(|n| n < 0))
}

fn has_body_limit(case: &Case) -> bool {
    case.is_in("max-body")
}

fn has_rate(case: &Case) -> bool {
    case.is_in("rate")
}

fn has_late_callback(case: &Case) -> bool {
    steps(case).any(|step| name(step) == "on-completed")
}

fn asks_to_upgrade(case: &Case) -> bool {
    case.id.starts_with("upgrade.request.without-upgrade-header")
}

fn reads_after_abort(case: &Case) -> bool {
    steps(case).skip_while(|step| name(step) != "abort").any(|step| name(step).starts_with("read"))
}

fn has_length_0(case: &Case) -> bool {
    case.is_in("can-have-body") && case.id.contains("length-0")
}

fn has_odd_fields(case: &Case) -> bool {
    let fields = case.input["client"][0]["headers"]["fields"].as_array().into_iter().flatten();
    { fields }
        .any(|field| matches!(name(field), ":protocol" | "upgrade" | "connection" | "transfer-encoding"))
}

fn leaves_body(case: &Case) -> bool {
    case.is_in("unread") && case.input["protocol"] == "h2"
}

/// The first thing that a case asks for and that is not replayed here.
fn not_replayed(case: &Case) -> Option<&str> {
    let options = case.input.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let option = { options }.find(|name| !matches!(*name, "protocol" | "client" | "handler"));
    option.or_else(|| steps(case).map(name).find(|name| !STEPS.contains(name))).or_else(|| {
        let kinds = case.input["client"].as_array().into_iter().flatten();
        let mut kinds = kinds.filter_map(|step| Some(step.as_object()?.keys().next()?.as_str()));
        kinds.find(|kind| !matches!(*kind, "send" | "headers" | "data"))
    })
}

const STEPS: &[&str] = &[
    "status",
    "reason",
    "header",
    "header-append",
    "header-remove",
    "content-length",
    "content-type",
    "get-status",
    "header-get",
    "headers",
    "has-started",
    "on-completed",
    "max-body-read-only",
    "start",
    "flush",
    "write",
    "write!",
    "write-text",
    "complete",
    "throw!",
    "abort",
    "request-close",
    "read",
    "read-all",
    "read-all!",
    "aborted",
    "can-be-cancelled",
    "trace-id",
    "is-upgradable",
    "can-have-body",
    "request-header",
    "request-content-length",
    "max-body",
    "set-max-body",
    "set-max-body!",
    "request-rate",
    "set-request-rate",
    "response-rate",
    "set-response-rate",
];

fn steps(case: &Case) -> impl Iterator<Item = &Value> {
    case.input["handler"].as_array().into_iter().flatten()
}

fn name(step: &Value) -> &str {
    step[0].as_str().unwrap_or_default()
}

fn starts(step: &Value) -> bool {
    matches!(name(step), "start" | "flush" | "write" | "write!" | "write-text" | "complete")
}

type SharedRun = Arc<Mutex<Run>>;

fn lock(run: &SharedRun) -> std::sync::MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a step gave, or why it failed.
type Results = Vec<(Value, Result<Value, String>)>;

/// The steps that are left of a handler, and what those that are done gave.
#[derive(Default)]
struct Run {
    steps: VecDeque<Value>,
    results: Results,
}

impl Run {
    fn new(handler: &Value) -> Self {
        Self {
            steps: handler.as_array().into_iter().flatten().cloned().collect(),
            results: Results::default(),
        }
    }
}

async fn handle(
    info: ConnectionInfo,
    id: RequestId,
    aborted: RequestAborted,
    limits: RequestLimits,
    State(run): State<SharedRun>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let upgradable = head.extensions.get::<OnUpgrade>().is_some();
    let can_have_body = !body.is_end_stream();
    let reader = Reader { body, read: Vec::new(), ended: false };
    let mut handler =
        Handler { run, info, id, aborted, limits, headers: head.headers, upgradable, can_have_body, reader };
    let mut response = Response::new(());
    loop {
        let Some(step) = lock(&handler.run).steps.pop_front() else { break };
        if starts(&step) && name(&step) != "complete" {
            lock(&handler.run).steps.push_front(step);
            break;
        }
        if !set_head(&mut response, &step) {
            std::future::poll_fn(|cx| handler.poll_step(&step, cx)).await;
        }
    }
    let has_body = !lock(&handler.run).steps.is_empty();
    response.map(|()| if has_body { Body::new(handler) } else { Body::empty() })
}

/// Carries out a step that is about the head of the answer.
fn set_head(response: &mut Response<()>, step: &Value) -> bool {
    let text = |i: usize| step[i].as_str().unwrap_or_default();
    let header = || HeaderName::try_from(text(1)).expect("the name of a header");
    let value = |i: usize| HeaderValue::from_str(text(i)).expect("the value of a header");
    let headers = response.headers_mut();
    match name(step) {
        "status" => *response.status_mut() = status(step).expect("a status"),
        "reason" if text(1).is_empty() => {} // the server takes its own words
        "reason" => {
            let reason = ReasonPhrase::try_from(text(1).as_bytes()).expect("a reason phrase");
            response.extensions_mut().insert(reason);
        }
        "header" if step[2].is_null() => _ = headers.remove(header()),
        "header" => _ = headers.insert(header(), value(2)),
        "header-append" => _ = headers.append(header(), value(2)),
        "header-remove" => _ = headers.remove(header()),
        "content-type" => _ = headers.insert("content-type", value(1)),
        "content-length" if step[1].is_null() => _ = headers.remove("content-length"),
        "content-length" => {
            _ = headers
                .insert("content-length", HeaderValue::try_from(step[1].to_string()).expect("a number"));
        }
        _ => return false,
    }
    true
}

fn status(step: &Value) -> Option<StatusCode> {
    StatusCode::from_u16(u16::try_from(step[1].as_i64()?).ok()?).ok()
}

/// A handler at work; the body of its answer once that has begun.
struct Handler {
    run: SharedRun,
    info: ConnectionInfo,
    id: RequestId,
    aborted: RequestAborted,
    limits: RequestLimits,
    headers: HeaderMap,
    upgradable: bool,
    can_have_body: bool,
    reader: Reader,
}

impl Handler {
    fn poll_step(&mut self, step: &Value, cx: &mut Context<'_>) -> Poll<()> {
        let octets = || usize::try_from(step[1].as_u64().unwrap_or_default()).unwrap_or_default();
        let limit = |result: Result<(), kestrel_rs::request::LimitError>| {
            result.map(|()| Value::Null).map_err(|error| error.to_string())
        };
        let result = match name(step) {
            "throw!" => panic!("boom"),
            "abort" => {
                self.info.abort();
                Ok(Value::Null)
            }
            "request-close" => {
                self.info.request_close();
                Ok(Value::Null)
            }
            "read" => ready!(self.reader.poll_read(octets(), cx)),
            "read-all" | "read-all!" => ready!(self.reader.poll_read(usize::MAX, cx)),
            "aborted" => Ok(self.aborted.is_aborted().into()),
            "can-be-cancelled" => Ok(true.into()),
            "trace-id" => {
                let id = self.id.to_string();
                Ok(id
                    .split_once(':')
                    .map_or_else(|| id.clone(), |(_, rest)| format!("<connection>:{rest}"))
                    .into())
            }
            "is-upgradable" => Ok(self.upgradable.into()),
            "can-have-body" => Ok(self.can_have_body.into()),
            "request-header" => {
                let all = self.headers.get_all(step[1].as_str().unwrap_or_default()).iter();
                Ok(all.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().into())
            }
            "request-content-length" => {
                let length = self.headers.get("content-length").and_then(|length| length.to_str().ok());
                Ok(length.and_then(|length| length.parse::<u64>().ok()).into())
            }
            "max-body" => Ok(self.limits.max_request_body_size().into()),
            "set-max-body" | "set-max-body!" => {
                limit(self.limits.set_max_request_body_size(step[1].as_u64()))
            }
            "request-rate" => Ok(shown(self.limits.min_request_body_data_rate())),
            "set-request-rate" => limit(self.limits.set_min_request_body_data_rate(rate(step))),
            "response-rate" => Ok(shown(self.limits.min_response_data_rate())),
            "set-response-rate" => limit(self.limits.set_min_response_data_rate(rate(step))),
            _ => return Poll::Ready(()), // passed over
        };
        let failed = result.is_err();
        lock(&self.run).results.push((step.clone(), result));
        assert!(!(failed && name(step).ends_with('!')), "the step fails");
        Poll::Ready(())
    }
}

fn shown(rate: Option<MinDataRate>) -> Value {
    rate.map_or(Value::Null, |rate| {
        json!({"bytes_per_second": rate.bytes_per_second(), "grace_period_seconds": rate.grace_period().as_secs_f64()})
    })
}

fn rate(step: &Value) -> Option<MinDataRate> {
    let grace = Duration::from_secs_f64(step[2].as_f64()?);
    Some(MinDataRate::new(step[1].as_f64()?, grace).expect("a rate"))
}

impl http_body::Body for Handler {
    type Data = Bytes;
    type Error = String;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        loop {
            let Some(step) = lock(&self.run).steps.pop_front() else { return Poll::Ready(None) };
            match name(&step) {
                "write" | "write!" | "write-text" => {
                    let text = step[1].as_str().unwrap_or_default().to_owned();
                    return Poll::Ready(Some(Ok(Frame::data(text.into()))));
                }
                "start" | "flush" => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                "complete" => {} // what the handler does after it is done before the end is seen
                _ => {
                    if self.poll_step(&step, cx).is_pending() {
                        lock(&self.run).steps.push_front(step);
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

/// Reads so many octets of a body.
struct Reader {
    body: Body,
    read: Vec<u8>,
    ended: bool,
}

impl Reader {
    fn poll_read(&mut self, octets: usize, cx: &mut Context<'_>) -> Poll<Result<Value, String>> {
        while self.read.len() < octets && !self.ended {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => self.read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Poll::Ready(Err(error.to_string())),
                None => self.ended = true,
            }
        }
        let rest = self.read.split_off(octets.min(self.read.len()));
        let read = std::mem::replace(&mut self.read, rest);
        Poll::Ready(Ok(String::from_utf8_lossy(&read).into()))
    }
}

/// The steps that give something, or fail.
const GIVE: &[&str] = &[
    "read",
    "read-all",
    "read-all!",
    "aborted",
    "can-be-cancelled",
    "trace-id",
    "is-upgradable",
    "can-have-body",
    "request-header",
    "request-content-length",
    "max-body",
    "set-max-body",
    "set-max-body!",
    "request-rate",
    "set-request-rate",
    "response-rate",
    "set-response-rate",
    "abort",
    "request-close",
];

/// Compares what the steps gave that were carried out, here and there.
fn compare_steps(case: &Case, ours: &Results) -> Result<(), String> {
    let mut ours = ours.iter();
    let theirs = case.output["requests"][0]["steps"].as_array().into_iter().flatten();
    let given = |step: &&Value| {
        let name = name(&step["op"]);
        GIVE.contains(&name)
    };
    for theirs in { theirs }.filter(given) {
        let Some((op, ours)) = ours.next() else { return Err(format!("not done: {}", theirs["op"])) };
        check(*op == theirs["op"], || format!("{op} in place of {}", theirs["op"]))?;
        match ours {
            Err(error) => check(!theirs["throws"].is_null(), || format!("{op}: {error}; recorded {theirs}"))?,
            Ok(value) if theirs["throws"].is_null() => {
                let same = *value == theirs["value"]
                    || value.as_f64().is_some() && value.as_f64() == theirs["value"].as_f64();
                let octets = value.as_str().map(|text| format!("{} bytes", text.len()));
                let same = same || octets.is_some_and(|octets| theirs["value"] == *octets);
                check(same || rates_agree(value, &theirs["value"]), || {
                    format!("{op} is {value}; recorded {theirs}")
                })?;
            }
            Ok(value) => return Err(format!("{op} is {value}; recorded {theirs}")),
        }
    }
    Ok(())
}

fn rates_agree(ours: &Value, theirs: &Value) -> bool {
    let parts = ["bytes_per_second", "grace_period_seconds"];
    ours.is_object() && parts.iter().all(|part| ours[part].as_f64() == theirs[part].as_f64())
}

/// The silence that ends a case.
const SILENCE: Duration = Duration::from_millis(350);

async fn http1(case: &Case, server: &TestServer) -> Result<(), String> {
    let mut connection = server.connect().await.map_err(|error| error.to_string())?;
    let mut received = Vec::new();
    let mut head = Vec::new();
    for step in case.input["client"].as_array().into_iter().flatten() {
        let text = step["send"].as_str().unwrap_or_default();
        head.push(text.starts_with("HEAD "));
        _ = connection.send(latin1(text)).await;
    }
    let (end, how) = loop {
        match tokio::time::timeout(SILENCE, connection.read_buf(&mut received)).await {
            Ok(Ok(0)) => break ("closed", "fin"),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => break ("closed", "reset"),
            Err(_) => break ("open", "open"),
        }
    };
    let recorded = &case.output["connection"];
    let (ours, rest) = answers_and_rest(&received, &head);
    assert!(
        rest.is_empty(),
        "{}: octets that are no answer: {}",
        case.id,
        String::from_utf8_lossy(&received)
    );
    let theirs = recorded["responses"].as_array().cloned().unwrap_or_default();
    let say = |what: &str| format!("{what}: {:?}, recorded {recorded}", String::from_utf8_lossy(&received));
    check(ours.len() == theirs.len(), || say("other answers"))?;
    for (ours, theirs) in ours.iter().zip(&theirs) {
        check(ours.status == theirs["status"] && ours.reason == theirs["reason"], || say("status line"))?;
        let headers = ours.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        check(sorted(headers) == recorded_headers(theirs), || say("headers"))?;
        let body = latin1(theirs["body"].as_str().unwrap_or_default());
        check(ours.body == body && ours.complete == theirs["complete"], || say("body"))?;
    }
    check(recorded["end"] == end && recorded["how"] == how, || say(how))
}

fn recorded_headers(answer: &Value) -> Vec<(String, String)> {
    let all = answer["headers"].as_object().into_iter().flatten();
    sorted(all.flat_map(|(name, lines)| {
        let lines = lines.as_array().into_iter().flatten();
        lines.map(|line| (name.clone(), line.as_str().unwrap_or_default().to_owned()))
    }))
}

fn sorted(headers: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut headers: Vec<_> = headers
        .filter(|(name, value)| name != "date" && (name != "server" || value != "kestrel-rs"))
        .collect();
    headers.sort_unstable();
    headers
}

async fn http2(case: &Case, server: &TestServer) -> Result<(), String> {
    let connection = server.connect().await.map_err(|error| error.to_string())?;
    let (client, connection) = h2::client::handshake(connection).await.map_err(|error| error.to_string())?;
    let task = tokio::spawn(connection);
    let answers = tokio::time::timeout(Duration::from_secs(5), http2_answer(case, client)).await;
    task.abort();
    let ours = answers.map_err(|_| "no answer")??;
    let theirs = &case.output["connection"]["streams"]["1"];
    let say = |what: &str| format!("{what}: {ours:?}, recorded {theirs}");
    let rst = theirs["rst"].as_str().map(str::to_owned);
    check(ours.status.map_or(Value::Null, Value::from) == theirs["status"], || say("status"))?;
    check(ours.headers == recorded_headers(theirs), || say("headers"))?;
    check(ours.body == latin1(theirs["body"].as_str().unwrap_or_default()), || say("body"))?;
    check(ours.reset.is_some() == rst.is_some(), || say("reset"))
}

#[derive(Debug, Default)]
struct Http2Answer {
    status: Option<u16>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    reset: Option<String>,
}

async fn http2_answer(case: &Case, client: h2::client::SendRequest<Bytes>) -> Result<Http2Answer, String> {
    let mut client = client.ready().await.map_err(|error| error.to_string())?;
    let mut answer = Http2Answer::default();
    let mut response = None;
    let mut body = None;
    for step in case.input["client"].as_array().into_iter().flatten() {
        if let Some(headers) = step["headers"].as_object() {
            let mut request = http::Request::new(());
            *request.version_mut() = Version::HTTP_2;
            let mut uri = http::uri::Builder::new();
            for field in headers["fields"].as_array().into_iter().flatten() {
                let (name, value) =
                    (field[0].as_str().unwrap_or_default(), field[1].as_str().unwrap_or_default());
                match name {
                    ":method" => *request.method_mut() = value.parse().map_err(|_| "no method")?,
                    ":scheme" => uri = uri.scheme(value),
                    ":path" => uri = uri.path_and_query(value),
                    ":authority" => uri = uri.authority(value),
                    _ => {
                        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
                        request
                            .headers_mut()
                            .append(name, HeaderValue::from_str(value).map_err(|e| e.to_string())?);
                    }
                }
            }
            *request.uri_mut() = uri.build().map_err(|error| error.to_string())?;
            let sent = client.send_request(request, headers["end_stream"] == true);
            let (coming, sending) = sent.map_err(|error| error.to_string())?;
            response = Some(coming);
            body = Some(sending);
        } else if let Some(body) = &mut body {
            let fill = step["data"]["fill"].as_u64().and_then(|octets| usize::try_from(octets).ok());
            let text = step["data"]["text"].as_str().map(latin1);
            let data = Bytes::from(text.unwrap_or_else(|| vec![b'x'; fill.unwrap_or_default()]));
            _ = body.send_data(data, step["data"]["end_stream"] == true);
        }
    }
    let response = match response.ok_or("no request")?.await {
        Ok(response) => response,
        Err(error) => {
            answer.reset = Some(error.to_string());
            return Ok(answer);
        }
    };
    answer.status = Some(response.status().as_u16());
    let headers = response.headers().iter();
    answer.headers = sorted(
        headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    );
    let mut body = response.into_body();
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => answer.body.extend_from_slice(&piece),
            Err(error) => {
                answer.reset = Some(error.to_string());
                break;
            }
        }
    }
    Ok(answer)
}
