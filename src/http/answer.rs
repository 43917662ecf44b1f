//! The body of an answer on its way to hyper, held to its Content-Length.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

/// An answer's body that never has more or less than the Content-Length of the answer says: the
/// client would take the difference for something else.
///
/// What the handler wrote before it failed reaches the client; then the answer is cut.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    /// Octets that the Content-Length still promises, where the body itself does not keep it.
    promised: Option<u64>,
    /// hyper has octets that it has not flushed.
    unflushed: bool,
    error: Option<axum::Error>,
}

impl Answer {
    /// Looks at the length of an answer to a request with `method` before its head goes out.
    ///
    /// One that promises a body and has none becomes a 500, as Kestrel's.
    pub(super) fn prepare(mut response: Response, method: &Method) -> http::Response<Self> {
        let status = response.status();
        let no_body = *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || (*method == Method::CONNECT && status.is_success());
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let promised = length.filter(|_| !no_body).filter(|length| {
            let exact = response.body().size_hint().exact();
            exact != Some(*length)
        });
        if promised.is_some_and(|promised| promised > 0) && response.body().is_end_stream() {
            response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response.map(|body| Self { body, promised: None, unflushed: true, error: None });
        }
        response.map(|body| Self { body, promised, unflushed: true, error: None })
    }

    fn keep_promise(&mut self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, axum::Error>> {
        let Some(promised) = &mut self.promised else { return frame.map(Ok) };
        match frame {
            Some(frame) => {
                let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
                match promised.checked_sub(octets) {
                    Some(left) => *promised = left,
                    None => return Some(Err(broken("more"))),
                }
                Some(Ok(frame))
            }
            None if *promised > 0 => Some(Err(broken("less"))),
            None => None,
        }
    }
}

fn broken(what: &str) -> axum::Error {
    axum::Error::new(format!("the response has {what} octets than its Content-Length"))
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            Poll::Ready(Some(Ok(frame))) => this.keep_promise(Some(frame)),
            Poll::Ready(None) => this.keep_promise(None),
            Poll::Pending => {
                this.unflushed = false;
                return Poll::Pending;
            }
        };
        match frame {
            Some(Err(error)) if this.unflushed => {
                // An error makes hyper drop what it has not flushed.
                this.unflushed = false;
                this.error = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            frame => {
                this.unflushed = true;
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none()
            && self.promised.is_none_or(|promised| promised == 0)
            && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.promised.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}
