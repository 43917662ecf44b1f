//! Recorded handlers, carried out by a handler of axum.
//!
//! A recorded handler is a list of steps against a request that is read from and a response that is
//! written to. A handler of axum returns a head, and then its body is asked for pieces. So the steps
//! run in a task of their own, as those of a handler that streams do:
//!
//! ```text
//! handle -- the head, when a step starts the answer, or the last has been done ----- Response
//!    `----- task: step, step, step -- what is written afterwards, through a channel -- Body
//! ```
//!
//! | file | steps |
//! |---|---|
//! | `answer` | the head of the answer, and what is written after it |
//! | `reader` | the body of the request |
//! | `features` | everything else that can be asked or set: limits, trailers, reset, life time |
//! | `tunnel` | upgrades and extended CONNECT |
//!
//! A step whose name ends in `!` passes its failure on: it ends the handler. What a step gave is kept
//! for [`Given`]; what is the handler's own in axum (the status that it is going to answer with) gives
//! nothing to compare. Callbacks at the start of the answer are a layer (`map_response`); what runs after its end is not
//! carried out, as nothing does in axum.

mod answer;
mod features;
mod reader;
mod tunnel;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{map_request, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use kestrel_rs::request::BodyError;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::answer::Answer;
use self::features::Features;
use self::reader::Reader;
use self::tunnel::Tunnel;

/// The handlers of a case, and what came of them.
#[derive(Clone)]
pub(crate) struct Handlers(Arc<Inner>);

struct Inner {
    /// One for each request as they arrive, the last for all further ones.
    scripts: Vec<Vec<Value>>,
    signals: Signals,
    requests: Mutex<Vec<Arc<Mutex<Results>>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// The steps that were carried out for one request, and what each gave.
pub(crate) type Results = Vec<(Value, Given)>;

/// What a step gave.
#[derive(Clone)]
pub(crate) enum Given {
    /// Nothing that could be compared.
    Nothing,
    Value(Value),
    Failure {
        /// Of a request that was bad.
        status: Option<StatusCode>,
        message: String,
    },
    /// There is no such step here.
    Unknown,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Value(value) => write!(f, "{value}"),
            Self::Failure { status, message } => write!(f, "failed: {message} (status {status:?})"),
            Self::Unknown => f.write_str("no such step"),
        }
    }
}

/// Why a step failed, and what a handler that passes it on makes of it.
#[derive(Debug)]
enum Failure {
    /// The request's body; the error is what a body of an answer fails with.
    Body(axum::Error),
    /// An answer that the failure has by itself: an extractor's rejection, or the handler's own word.
    Answer(Box<Response>),
    /// Something of the handler's own.
    Other(String),
    /// What is thrown and is nobody's to answer.
    Panic,
}

type Outcome = Result<Given, Failure>;

impl Handlers {
    pub(crate) fn new(input: &Value) -> Self {
        let script = |steps: &Value| steps.as_array().cloned().unwrap_or_default();
        let scripts = match &input["handlers"] {
            Value::Array(scripts) => scripts.iter().map(script).collect(),
            _ => vec![script(&input["handler"])],
        };
        Self(Arc::new(Inner {
            scripts,
            signals: Signals::default(),
            requests: Mutex::default(),
            tasks: Mutex::default(),
        }))
    }

    /// The handlers answer whatever is asked for at a path, or at any.
    pub(crate) fn router(&self, path: Option<&str>) -> Router {
        let router = match path {
            Some(path) => Router::new().route(path, any(handle)),
            None => Router::new().fallback(handle),
        };
        router.layer(map_response(answer::starting)).with_state(self.clone())
    }

    /// The steps of a middleware, which are about the limits of the request.
    pub(crate) fn around(app: Router, steps: &Value) -> Router {
        let steps = steps.as_array().cloned().unwrap_or_default();
        app.layer(map_request(move |request: Request| carry_out_before(steps.clone(), request)))
    }

    /// What the handlers and their client tell each other.
    pub(crate) fn signals(&self) -> &Signals {
        &self.0.signals
    }

    /// Waits until nothing is carried out any more.
    pub(crate) async fn are_done(&self) {
        tokio::time::sleep(HEAD_START).await; // what was sent last may be a request
        let waiting = async {
            while !lock(&self.0.tasks).iter().all(JoinHandle::is_finished) {
                tokio::time::sleep(HEAD_START).await;
            }
        };
        _ = tokio::time::timeout(PATIENCE, waiting).await;
    }

    /// What came of each request.
    pub(crate) fn results(&self) -> Vec<Results> {
        lock(&self.0.requests).iter().map(|results| lock(results).clone()).collect()
    }
}

/// What is waited for comes sooner, or not at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// As in the recording: time for what the client sent with the head.
const HEAD_START: Duration = Duration::from_millis(30);

/// A handler that panics poisons nothing that matters.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the middlewares before a handler have done.
#[derive(Clone, Default)]
struct Before(Arc<Mutex<Results>>);

async fn carry_out_before(steps: Vec<Value>, request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    let Before(results) = parts.extensions.get_or_insert_default::<Before>().clone();
    let features = Features::of(&mut parts, &steps).await;
    for step in steps {
        let given = match features.limit(&step) {
            Some(Ok(given)) => given,
            Some(Err(failure)) => failure.given(),
            None => Given::Unknown,
        };
        lock(&results).push((step, given));
    }
    Request::from_parts(parts, body)
}

async fn handle(State(handlers): State<Handlers>, mut request: Request) -> Response {
    let Before(results) = request.extensions_mut().remove().unwrap_or_default();
    let script = {
        let mut requests = lock(&handlers.0.requests);
        requests.push(results.clone());
        let last = handlers.0.scripts.len() - 1;
        handlers.0.scripts[last.min(requests.len() - 1)].clone()
    };
    let (mut parts, body) = request.into_parts();
    let (head, response) = oneshot::channel();
    let handler = Handler {
        features: Features::of(&mut parts, &script).await,
        tunnel: Tunnel::of(&mut parts),
        reader: Reader::new(body),
        answer: Answer::new(head),
        parts,
        signals: handlers.0.signals.clone(),
        results,
    };
    let task = tokio::spawn(handler.carry_out(script));
    lock(&handlers.0.tasks).push(task);
    response.await.unwrap_or_else(|_| panic!("{PANIC}"))
}

/// A handler at work.
struct Handler {
    parts: axum::http::request::Parts,
    features: Features,
    tunnel: Tunnel,
    reader: Reader,
    answer: Answer,
    signals: Signals,
    results: Arc<Mutex<Results>>,
}

impl Handler {
    async fn carry_out(mut self, script: Vec<Value>) {
        tokio::time::sleep(HEAD_START).await;
        for step in script {
            let outcome = self.step(&step).await;
            let given = match &outcome {
                Ok(given) => given.clone(),
                Err(failure) => failure.given(),
            };
            lock(&self.results).push((step.clone(), given));
            if let Err(failure) = outcome
                && passes_failure_on(&step)
            {
                return self.answer.fail(failure).await;
            }
        }
        drop(self.reader); // the request has been looked at for the last time
        self.answer.finish().await;
    }

    async fn step(&mut self, step: &Value) -> Outcome {
        let text = step[1].as_str().unwrap_or_default();
        match name(step) {
            "throw" => return Err(thrown(step)),
            // A future that is dropped before it is polled, as one with a token that was cancelled.
            name if name.ends_with("-cancelled") && name != "can-be-cancelled" => {
                return Err(other("not waited for"));
            }
            // What .NET's types say of themselves.
            "has" | "features" | "request-stream" | "response-stream" | "duplex" => {}
            "sleep" => tokio::time::sleep(Duration::from_millis(step[1].as_u64().unwrap_or_default())).await,
            "signal" => self.signals.tell(text),
            "await" => self.signals.told(text).await,
            "copy-request-to-response" => {
                while let Some(piece) = self.reader.piece().await? {
                    self.answer.write(&piece).await;
                }
            }
            _ => return self.step_of_a_part(step).await,
        }
        Ok(Given::Nothing)
    }

    async fn step_of_a_part(&mut self, step: &Value) -> Outcome {
        if let Some(outcome) = self.answer.step(step).await {
            return outcome;
        }
        if let Some(outcome) = self.reader.step(step, &self.parts, &self.features).await {
            return outcome;
        }
        if let Some(outcome) = self.tunnel.step(step, &mut self.answer).await {
            return outcome;
        }
        self.features.step(step, &self.parts, &mut self.answer).await.unwrap_or(Ok(Given::Unknown))
    }
}

impl Failure {
    fn given(&self) -> Given {
        let (status, message) = match self {
            Self::Body(error) => (BodyError::find(error).and_then(BodyError::status), error.to_string()),
            Self::Answer(response) => (Some(response.status()), "answered".to_owned()),
            Self::Other(message) => (None, message.clone()),
            Self::Panic => (None, PANIC.to_owned()),
        };
        Given::Failure { status, message }
    }
}

impl From<axum::Error> for Failure {
    fn from(error: axum::Error) -> Self {
        Self::Body(error)
    }
}

/// Of an error that says in words only what happened.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn other(error: impl ToString) -> Failure {
    Failure::Other(error.to_string())
}

const PANIC: &str = "boom";

/// What a step throws: the status that a handler has for a bad request is an answer.
fn thrown(step: &Value) -> Failure {
    let status = step[2].as_u64().and_then(|status| u16::try_from(status).ok());
    match status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => Failure::Answer(Box::new(status.into_response())),
        None => Failure::Panic,
    }
}

/// The name of a step, with or without the mark that its failure is passed on.
fn name(step: &Value) -> &str {
    step[0].as_str().unwrap_or_default().trim_end_matches('!')
}

fn passes_failure_on(step: &Value) -> bool {
    step[0].as_str().is_some_and(|name| name.ends_with('!'))
}

/// An argument that counts octets.
fn octets(argument: &Value) -> usize {
    argument.as_u64().and_then(|octets| usize::try_from(octets).ok()).unwrap_or_default()
}

/// What has been said by name, from the client to the handlers or from them to it.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<watch::Sender<HashSet<String>>>);

impl Signals {
    pub(crate) fn tell(&self, name: &str) {
        self.0.send_modify(|told| _ = told.insert(name.to_owned()));
    }

    pub(crate) async fn told(&self, name: &str) {
        _ = self.0.subscribe().wait_for(|told| told.contains(name)).await;
    }
}
