//! The answer of a recorded handler: its head until a step starts it, then its body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use hyper::ext::ReasonPhrase;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{Failure, Given, Outcome, PANIC, name, octets, other};

pub(super) struct Answer {
    head: Response<()>,
    /// `None` once the head is on its way.
    send_head: Option<oneshot::Sender<Response>>,
    /// `None` once the body has ended.
    send_body: Option<mpsc::Sender<Piece>>,
    body: Option<Body>,
    unflushed: Vec<u8>,
}

enum Piece {
    Data(Bytes),
    End,
    Failure(axum::Error),
}

/// As in the recording: time for what was sent to reach the client, before something overtakes it.
const SENDING: Duration = Duration::from_millis(25);

/// The file that a handler sends.
const FILE: &[u8] = b"0123456789";

impl Answer {
    pub(super) fn new(send_head: oneshot::Sender<Response>) -> Self {
        let (send_body, pieces) = mpsc::channel(1);
        Self {
            head: Response::new(()),
            send_head: Some(send_head),
            send_body: Some(send_body),
            body: Some(Body::new(Pieces(pieces))),
            unflushed: Vec::new(),
        }
    }

    /// `None`: it is not about the answer.
    pub(super) async fn step(&mut self, step: &Value) -> Option<Outcome> {
        if let Some(result) = self.set_head(step) {
            return Some(result.map(|()| Given::Nothing));
        }
        let text = step[1].as_str().unwrap_or_default().as_bytes();
        match name(step) {
            "write"
            | "write-text"
            | "write-with-aborted-token"
            | "pipe-write"
            | "begin-write"
            | "begin-write-end-blocking"
            | "stream-writer-dispose-async" => self.write(text).await,
            "write-n" => self.write(&vec![b'x'; octets(&step[1])]).await,
            "send-file" => match file(step) {
                Some(part) => self.write(part).await,
                None => return Some(Err(other("the file has no such part"))),
            },
            "pipe-put" => self.unflushed.extend_from_slice(text),
            "start" | "flush" | "pipe-flush" => self.flush().await,
            "complete" | "pipe-writer-complete" | "pipe-writer-complete-async" => self.finish().await,
            "pipe-writer-complete-error" => self.cut(axum::Error::new(PANIC)).await,
            "on-starting" if self.has_started() => return Some(Err(head_is_gone())),
            "on-starting" => {
                self.head.extensions_mut().get_or_insert_default::<Starting>().0.push(step[2].clone());
            }
            // The handler's own; and what runs when it is done.
            "bad-request" | "get-status" | "has-started" | "header-get" | "headers" | "pipe-unflushed"
            | "on-completed" | "dispose-at-end" => {}
            _ => return None,
        }
        Some(Ok(Given::Nothing))
    }

    /// Carries out a step that is about the head.
    fn set_head(&mut self, step: &Value) -> Option<Result<(), Failure>> {
        let started = self.has_started();
        let result = set_head(&mut self.head, step)?;
        Some(if started { Err(head_is_gone()) } else { result })
    }

    pub(super) fn has_started(&self) -> bool {
        self.send_head.is_none()
    }

    /// Makes the head one that a tunnel follows.
    pub(super) fn switch(&mut self, status: StatusCode) {
        *self.head.status_mut() = status;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.head.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        self.send_head(Body::empty());
        self.send_body = None;
    }

    pub(super) fn status(&self) -> StatusCode {
        self.head.status()
    }

    pub(super) async fn write(&mut self, octets: &[u8]) {
        self.unflushed.extend_from_slice(octets);
        self.start();
        let data = std::mem::take(&mut self.unflushed);
        self.send(Piece::Data(data.into())).await;
    }

    pub(super) async fn flush(&mut self) {
        self.start();
        if self.unflushed.is_empty() {
            tokio::time::sleep(SENDING).await;
        } else {
            self.write(b"").await;
        }
    }

    pub(super) async fn finish(&mut self) {
        if !self.unflushed.is_empty() {
            self.write(b"").await;
        }
        self.send_head(Body::empty()); // unless a body has begun
        self.send(Piece::End).await;
        self.send_body = None;
    }

    /// The handler passes a failure on.
    pub(super) async fn fail(mut self, failure: Failure) {
        match failure {
            Failure::Panic => panic!("{PANIC}"),
            Failure::Body(error) if self.has_started() => self.cut(error).await,
            _ if self.has_started() => self.cut(axum::Error::new(PANIC)).await,
            Failure::Answer(answer) => self.answer_with(*answer),
            Failure::Body(_) | Failure::Other(_) => {
                self.answer_with(StatusCode::INTERNAL_SERVER_ERROR.into_response());
            }
        }
    }

    async fn cut(&mut self, error: axum::Error) {
        self.start();
        self.send(Piece::Failure(error)).await;
        self.send_body = None;
    }

    fn start(&mut self) {
        if let Some(body) = self.body.take() {
            self.send_head(body);
        }
    }

    fn send_head(&mut self, body: Body) {
        let (parts, ()) = std::mem::take(&mut self.head).into_parts();
        self.answer_with(Response::from_parts(parts, body));
    }

    fn answer_with(&mut self, answer: Response) {
        if let Some(head) = self.send_head.take() {
            _ = head.send(answer); // the client may have gone
        }
    }

    async fn send(&mut self, piece: Piece) {
        if let Some(body) = &self.send_body {
            _ = body.send(piece).await; // the client may have gone
        }
        tokio::time::sleep(SENDING).await;
    }
}

fn head_is_gone() -> Failure {
    other("the head is gone")
}

/// The part of the file that a step names.
fn file(step: &Value) -> Option<&'static [u8]> {
    let rest = FILE.get(usize::try_from(step[1].as_i64()?).ok()?..)?;
    match &step[2] {
        Value::Null => Some(rest),
        count => rest.get(..usize::try_from(count.as_i64()?).ok()?),
    }
}

/// `None`: it is not about the head.
fn set_head(head: &mut Response<()>, step: &Value) -> Option<Result<(), Failure>> {
    let text = |i: usize| step[i].as_str().unwrap_or_default();
    let value = |i: usize| HeaderValue::from_str(text(i)).map_err(other);
    let set = |head: &mut Response<()>, name: HeaderName, value: Result<HeaderValue, Failure>| {
        _ = head.headers_mut().insert(name, value?);
        Ok(())
    };
    let own_name = HeaderName::try_from(text(1)).map_err(other);
    Some(match (name(step), own_name) {
        ("status", _) => status(step).map(|status| *head.status_mut() = status),
        ("reason", _) if text(1).is_empty() => Ok(()), // the server takes its own words
        ("reason", _) => ReasonPhrase::try_from(text(1).as_bytes()).map_err(other).map(|reason| {
            _ = head.extensions_mut().insert(reason);
        }),
        ("header" | "header-remove", Ok(name)) if step[2].is_null() => {
            _ = head.headers_mut().remove(name);
            Ok(())
        }
        ("header", Ok(name)) if step[2].is_array() => {
            _ = head.headers_mut().remove(&name);
            let mut values = step[2].as_array().into_iter().flatten();
            values.try_for_each(|value| {
                let value = HeaderValue::from_str(value.as_str().unwrap_or_default()).map_err(other)?;
                _ = head.headers_mut().append(&name, value);
                Ok(())
            })
        }
        ("header", Ok(name)) => set(head, name, value(2)),
        ("header-append", Ok(name)) => value(2).map(|value| _ = head.headers_mut().append(name, value)),
        ("header" | "header-append" | "header-remove", Err(error)) => Err(error),
        ("content-type", _) => set(head, header::CONTENT_TYPE, value(1)),
        ("content-length", _) if step[1].is_null() => {
            _ = head.headers_mut().remove(header::CONTENT_LENGTH);
            Ok(())
        }
        ("content-length", _) => {
            let length = step[1].as_u64().ok_or_else(|| other("not a length"));
            set(head, header::CONTENT_LENGTH, length.map(HeaderValue::from))
        }
        ("redirect", _) => {
            *head.status_mut() = StatusCode::FOUND;
            set(head, header::LOCATION, value(1))
        }
        ("clear", _) => {
            *head = Response::new(());
            Ok(())
        }
        ("header-clear", _) => {
            head.headers_mut().clear();
            Ok(())
        }
        _ => return None,
    })
}

fn status(step: &Value) -> Result<StatusCode, Failure> {
    let status = step[1].as_i64().and_then(|status| u16::try_from(status).ok());
    status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or_else(|| other("no such status"))
}

/// Steps for the layer that sees the head before it goes; those added last come first.
#[derive(Clone, Default)]
struct Starting(Vec<Value>);

/// The layer that carries out what is to be done when the answer starts.
pub(super) async fn starting(mut response: Response) -> Response {
    let callbacks = response.extensions_mut().remove::<Starting>().unwrap_or_default().0;
    let (parts, body) = response.into_parts();
    let mut head = Response::from_parts(parts, ());
    for step in callbacks.iter().rev().flat_map(|steps| steps.as_array().into_iter().flatten()) {
        let failed = set_head(&mut head, step).is_some_and(|result| result.is_err());
        assert!(!failed && name(step) != "throw", "{PANIC}");
    }
    head.map(|()| body)
}

/// The body of an answer that was started.
struct Pieces(mpsc::Receiver<Piece>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Ready(match ready!(self.0.poll_recv(cx)) {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::Failure(error)) => Some(Err(error)),
            Some(Piece::End) => None,
            None => panic!("{PANIC}"), // as the task did
        })
    }
}
