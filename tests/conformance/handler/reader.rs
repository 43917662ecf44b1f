//! The steps of a recorded handler that read the body of its request.

use std::collections::BTreeMap;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use kestrel_rs::request::BodyReader;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::features::Features;
use super::{Failure, Given, Outcome, name, octets, other};

/// Reads a body in pieces of any size.
pub(super) struct Reader {
    unread: Arc<Mutex<Unread>>,
    has_body: bool,
}

struct Unread {
    body: Body,
    /// What has come of it and was not asked for yet.
    read: Vec<u8>,
    ended: bool,
}

impl Reader {
    pub(super) fn new(body: Body) -> Self {
        let has_body = !body.is_end_stream();
        let unread = Unread { body, read: Vec::new(), ended: false };
        Self { unread: Arc::new(Mutex::new(unread)), has_body }
    }

    /// The next piece as it comes; `None` at the end.
    pub(super) async fn piece(&mut self) -> Result<Option<Vec<u8>>, axum::Error> {
        let mut unread = self.unread.lock().await;
        unread.gather(1).await?;
        let piece = std::mem::take(&mut unread.read);
        Ok(if piece.is_empty() { None } else { Some(piece) })
    }

    /// `None`: it does not read.
    pub(super) async fn step(&mut self, step: &Value, parts: &Parts, features: &Features) -> Option<Outcome> {
        let count = octets(&step[1]);
        let name = name(step);
        if let Some(most) = most_blocking(name, count) {
            return Some(self.read_blocking(name, most, features).await);
        }
        let mut unread = self.unread.lock().await;
        Some(
            match name {
                "can-have-body" => Ok(self.has_body.into()),
                "read" | "begin-read" | "begin-read-end-blocking" => {
                    unread.take(count).await.map(|read| text(&read))
                }
                "read-all" | "copy-to" | "pipe-read-all" | "stream-reader-read-to-end-async" => {
                    unread.take(usize::MAX).await.map(|read| text(&read))
                }
                "read-some" => unread.some().await.map(|read| text(&read)),
                "read-zero" => unread.gather(1).await.map(|()| Value::from(0)),
                "pipe-read" => unread.available(1).await,
                "pipe-read-at-least" => unread.available(count).await,
                "pipe-try-read" => match tokio::time::timeout(AT_ONCE, unread.available(1)).await {
                    Ok(result) => result.map(|result| json!({"got": true, "result": result})),
                    Err(_) => Ok(json!({"got": false})),
                },
                "read-cancel-after" | "pipe-read-cancel-after" => {
                    let time = Duration::from_millis(step[1].as_u64().unwrap_or_default());
                    match tokio::time::timeout(time, unread.some()).await {
                        Ok(read) => read.map(|read| text(&read)),
                        Err(elapsed) => return Some(Err(other(elapsed))),
                    }
                }
                "read-all-with-aborted-token" => {
                    tokio::select! {
                        all = unread.take(usize::MAX) => all.map(|read| text(&read)),
                        () = features.aborted() => return Some(Err(other("aborted"))),
                    }
                }
                "read-form" => return Some(form(&mut unread, parts).await),
                _ => return None,
            }
            .map(Given::Value)
            .map_err(Failure::Body),
        )
    }

    /// Reads with blocking calls, where that is allowed.
    async fn read_blocking(&self, name: &str, most: usize, features: &Features) -> Outcome {
        let lent = Body::new(Lent { unread: self.unread.clone().lock_owned().await, left: most });
        let is_byte = name == "read-byte";
        let read = move |reader: &mut BodyReader| {
            let mut read = Vec::new();
            reader.read_to_end(&mut read)?;
            std::io::Result::Ok(match read.first() {
                _ if !is_byte => text(&read),
                Some(octet) => (*octet).into(),
                None => (-1).into(),
            })
        };
        let result = features.synchronous_io.read(lent, read).await.map_err(other)?;
        result.map(Given::Value).map_err(|error| Failure::Body(axum::Error::new(error)))
    }
}

/// How much a step reads with blocking calls, if it does.
fn most_blocking(name: &str, count: usize) -> Option<usize> {
    match name {
        "read-sync" | "read-sync-span" => Some(count),
        "read-byte" => Some(1),
        "copy-to-sync" | "stream-reader-read-to-end" => Some(usize::MAX),
        _ => None,
    }
}

/// Nothing else is left to be done when time goes on.
const AT_ONCE: Duration = Duration::from_millis(1);

impl Unread {
    /// Waits until so many octets have come, or the end.
    async fn gather(&mut self, octets: usize) -> Result<(), axum::Error> {
        while self.read.len() < octets && !self.ended {
            match self.body.frame().await {
                Some(Ok(frame)) => self.read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(error),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    async fn take(&mut self, octets: usize) -> Result<Vec<u8>, axum::Error> {
        self.gather(octets).await?;
        let rest = self.read.split_off(octets.min(self.read.len()));
        Ok(std::mem::replace(&mut self.read, rest))
    }

    async fn some(&mut self) -> Result<Vec<u8>, axum::Error> {
        self.gather(1).await?;
        Ok(std::mem::take(&mut self.read))
    }

    /// What a pipe has: so many octets, and all others that are there too.
    async fn available(&mut self, octets: usize) -> Result<Value, axum::Error> {
        self.gather(octets).await?;
        if let Ok(rest) = tokio::time::timeout(AT_ONCE, self.gather(usize::MAX)).await {
            rest?;
        }
        let data = text(&std::mem::take(&mut self.read));
        Ok(json!({"data": data, "completed": self.ended, "canceled": false}))
    }
}

fn text(octets: &[u8]) -> Value {
    String::from_utf8_lossy(octets).into()
}

/// What axum's extractor makes of the body.
async fn form(unread: &mut Unread, parts: &Parts) -> Outcome {
    let mut request = Request::new(std::mem::take(&mut unread.body));
    *request.method_mut() = parts.method.clone();
    *request.headers_mut() = parts.headers.clone();
    unread.ended = true;
    match Form::<Vec<(String, String)>>::from_request(request, &()).await {
        Ok(Form(fields)) => {
            let mut form = BTreeMap::<_, Vec<_>>::new();
            for (name, value) in fields {
                form.entry(name).or_default().push(value);
            }
            Ok(Given::Value(json!(form)))
        }
        Err(rejection) => Err(Failure::Answer(Box::new(rejection.into_response()))),
    }
}

/// So many octets of a body that is read on afterwards.
struct Lent {
    unread: OwnedMutexGuard<Unread>,
    left: usize,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { unread, left } = &mut *self;
        while *left > 0 {
            if !unread.read.is_empty() {
                let most = unread.read.len().min(*left);
                let rest = unread.read.split_off(most);
                let piece = std::mem::replace(&mut unread.read, rest);
                *left -= piece.len();
                return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
            }
            match ready!(Pin::new(&mut unread.body).poll_frame(cx)?) {
                Some(frame) => unread.read.extend(frame.into_data().unwrap_or_default()),
                None => break,
            }
        }
        Poll::Ready(None)
    }
}
