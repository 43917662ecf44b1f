//! The answer on its way out: held to what its status, its method and its Content-Length say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, SERVER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use crate::request::{BodyError, panic_message};
use crate::telemetry::events;
use crate::text::content_length;

/// An answer's body that never has more or less than the Content-Length of the answer says: the
/// client would take the difference for something else.
///
/// What the handler wrote before it failed reaches the client; then the answer is cut.
#[derive(Debug)]
pub(in crate::http) struct Answer {
    body: Body,
    length: Length,
}

/// What holds a body to its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    /// The body itself, or nothing: it ends where it ends.
    Own,
    /// The Content-Length, which still promises so many octets.
    Promised(u64),
    /// There is no body, only the length of the one that there would be (304).
    Claimed(u64),
}

/// Why an answer is not sent as the handler made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// Nothing has been written for it: a bare 500.
    Unsent,
    /// It has more octets than it says: a bare 500, and the connection closes.
    TooLong,
    /// Its body failed before its first octet. The status is that of the request's body, if that
    /// is what failed; the connection is of no use then.
    Failed(Option<StatusCode>),
}

impl Answer {
    /// Looks at an answer to a request with `method` before its head goes out.
    ///
    /// Some of what a handler can make cannot be sent (a Transfer-Encoding beside a Content-Length, an interim status, a
    /// Content-Length that is not the body's). It becomes a 500, as Kestrel's.
    pub(in crate::http) fn prepare(
        mut response: Response,
        method: &Method,
        cx: &mut Context<'_>,
    ) -> http::Response<Self> {
        if is_ordinary(&response, method) {
            if response.body().is_end_stream() {
                response.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
            }
            return Self::from(response, Length::Own);
        }
        let broken = match Self::prepare_odd(&mut response, method, cx) {
            Ok(length) => return Self::from(response, length),
            Err(broken) => broken,
        };
        let (status, close) = match broken {
            Broken::Failed(Some(status)) => return Self::corrected(response, status),
            Broken::Failed(None) => (StatusCode::INTERNAL_SERVER_ERROR, false),
            Broken::Unsent | Broken::TooLong => {
                // Who asks by CONNECT what is not for it may not fill the log.
                if *method != Method::CONNECT {
                    events::answer_broken(response.status());
                }
                (StatusCode::INTERNAL_SERVER_ERROR, broken == Broken::TooLong)
            }
        };
        Self::bare(status, response.headers(), close)
    }

    /// Whether no octet follows the head, whatever length that claims.
    pub(in crate::http) fn has_no_body(&self) -> bool {
        matches!(self.length, Length::Claimed(_)) || http_body::Body::is_end_stream(self)
    }

    /// A bare 500 in place of an answer with `headers`.
    pub(in crate::http) fn server_error(headers: &HeaderMap) -> http::Response<Self> {
        Self::bare(StatusCode::INTERNAL_SERVER_ERROR, headers, false)
    }

    /// An answer whose body could not begin since that of its request failed: what its headers say of the body goes.
    fn corrected(mut response: Response, status: StatusCode) -> http::Response<Self> {
        *response.status_mut() = status;
        *response.body_mut() = Body::empty();
        let headers = response.headers_mut();
        for of_the_body in
            [CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, TRANSFER_ENCODING]
        {
            headers.remove(of_the_body);
        }
        headers.insert(CONTENT_LENGTH, 0.into());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Self::from(response, Length::Own)
    }

    fn bare(status: StatusCode, headers: &HeaderMap, close: bool) -> http::Response<Self> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_LENGTH, 0.into());
        if let Some(server) = headers.get(SERVER) {
            response.headers_mut().insert(SERVER, server.clone());
        }
        if close {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Self::from(response, Length::Own)
    }

    fn from(response: Response, length: Length) -> http::Response<Self> {
        response.map(|body| Self { body, length })
    }

    /// Everything but an answer with a body of known length that is what its Content-Length says.
    fn prepare_odd(response: &mut Response, method: &Method, cx: &mut Context<'_>) -> Result<Length, Broken> {
        let status = response.status();
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Broken::Unsent); // its client would wait for the answer
        }
        let mut length = length_of(response)?;
        let exact = response.body().size_hint().exact();
        let tunnel =
            status == StatusCode::SWITCHING_PROTOCOLS || *method == Method::CONNECT && status.is_success();
        if tunnel || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
            // A router says the length of whatever body there is, for HEAD that of the body which GET would have; else the
            // handler meant it.
            let is_meant = *method != Method::HEAD && length != exact;
            if length.is_some_and(|length| length > 0 && is_meant) {
                return Err(Broken::Unsent);
            }
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(TRANSFER_ENCODING);
            if status == StatusCode::RESET_CONTENT && !tunnel && *method != Method::HEAD {
                response.headers_mut().insert(CONTENT_LENGTH, 0.into()); // HTTP/2 has it too
            } else {
                response.headers_mut().remove(CONTENT_LENGTH);
            }
            return Ok(Length::Own);
        }
        if status == StatusCode::NOT_MODIFIED {
            *response.body_mut() = Body::empty();
            response.headers_mut().remove(TRANSFER_ENCODING);
            let claimed = length.filter(|length| *length > 0);
            if claimed.is_none() {
                response.headers_mut().remove(CONTENT_LENGTH); // a router's, of the body that is not there
            }
            return Ok(claimed.map_or(Length::Own, Length::Claimed));
        }
        if *method == Method::HEAD {
            *response.body_mut() = Body::empty();
            let coded = response.headers_mut().remove(TRANSFER_ENCODING).is_some();
            if let Some(exact) = exact.filter(|exact| *exact > 0 && length.is_none() && !coded) {
                response.headers_mut().insert(CONTENT_LENGTH, exact.into());
            }
            return Ok(Length::Own);
        }
        if name_codings(response.headers_mut()) {
            length = None;
        }
        if exact.is_none() {
            peek(response, length, cx)?;
        }
        match (length, response.body().size_hint().exact()) {
            (Some(length), Some(exact)) if exact > length => Err(Broken::TooLong),
            (Some(length), Some(0)) if length > 0 => Err(Broken::Unsent),
            (Some(length), exact) if exact != Some(length) => Ok(Length::Promised(length)),
            _ => Ok(Length::Own),
        }
    }

    fn keep_promise(&mut self, frame: Option<Frame<Bytes>>) -> Option<Result<Frame<Bytes>, axum::Error>> {
        let Length::Promised(promised) = &mut self.length else { return frame.map(Ok) };
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

/// Whether an answer can be sent as it is.
fn is_ordinary(response: &Response, method: &Method) -> bool {
    let status = response.status();
    let Some(exact) = response.body().size_hint().exact() else { return false };
    if matches!(*method, Method::HEAD | Method::CONNECT)
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
        || exact == 0 && !response.body().is_end_stream()
    {
        return false;
    }
    // One pass: to look for each by its hash costs more for as few as an answer has.
    let mut lengths = 0;
    response.headers().iter().all(|(name, value)| match *name {
        CONTENT_LENGTH => {
            lengths += 1;
            lengths == 1 && content_length(value.as_bytes()) == Some(exact) && !has_leading_zero(value)
        }
        TRANSFER_ENCODING => false,
        _ => true,
    })
}

/// The Content-Length of an answer, written in the one way that there is.
fn length_of(response: &mut Response) -> Result<Option<u64>, Broken> {
    let mut lengths = response.headers().get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    let length =
        content_length(first.as_bytes()).filter(|_| lengths.next().is_none()).ok_or(Broken::Unsent)?;
    if has_leading_zero(first) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    Ok(Some(length))
}

fn has_leading_zero(length: &HeaderValue) -> bool {
    length.len() > 1 && length.as_bytes().first() == Some(&b'0')
}

/// Leaves the codings of an answer that the handler names, and puts the one behind them that frames
/// it: the connection does the framing. False if the handler names none.
fn name_codings(headers: &mut HeaderMap) -> bool {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return false;
    }
    let is_token = |coding: &&str| coding.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b));
    let codings: Vec<&str> = headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(str::trim))
        .filter(|coding| !coding.is_empty() && is_token(coding))
        .filter(|coding| !coding.eq_ignore_ascii_case("chunked") && !coding.eq_ignore_ascii_case("identity"))
        .collect();
    let value = (!codings.is_empty()).then(|| HeaderValue::try_from(codings.join(", ") + ", chunked"));
    match value {
        Some(Ok(value)) => headers.insert(TRANSFER_ENCODING, value),
        _ => headers.remove(TRANSFER_ENCODING),
    };
    // With both, the Transfer-Encoding counts (RFC 9112 section 6.3).
    headers.remove(CONTENT_LENGTH);
    true
}

/// Polls a body that comes in pieces once, before the head is on its way: what fails before its
/// first piece can still be a 500.
fn peek(response: &mut Response, length: Option<u64>, cx: &mut Context<'_>) -> Result<(), Broken> {
    let Poll::Ready(first) = poll(response.body_mut(), cx) else { return Ok(()) };
    match first {
        None => *response.body_mut() = Body::empty(),
        Some(Err(error)) => {
            events::body_failed(&error);
            return Err(Broken::Failed(BodyError::find(&error).and_then(BodyError::status)));
        }
        Some(Ok(frame)) => {
            let octets = frame.data_ref().map_or(0, |data| data.len() as u64);
            if length.is_some_and(|length| octets > length) {
                return Err(Broken::TooLong);
            }
            let rest = std::mem::take(response.body_mut());
            *response.body_mut() = Body::new(Begun { first: Some(frame), rest });
        }
    }
    Ok(())
}

/// The next frame of a body, whose panic is an error.
fn poll(body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
    // Nothing of the body is looked at after it panicked.
    match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *body).poll_frame(cx))) {
        Ok(polled) => polled,
        Err(panic) => {
            events::handler_panicked(panic_message(&*panic));
            *body = Body::empty();
            Poll::Ready(Some(Err(axum::Error::new("the body of the response panicked"))))
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
        let frame = match ready!(poll(&mut this.body, cx)) {
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(frame)) => this.keep_promise(Some(frame)),
            None => this.keep_promise(None),
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.length, Length::Own | Length::Promised(0)) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Length::Own => self.body.size_hint(),
            Length::Promised(_) => SizeHint::default(),
            // Of the body that there would be; none follows.
            Length::Claimed(length) => SizeHint::with_exact(length),
        }
    }
}

/// A body whose first piece has been taken out.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}
