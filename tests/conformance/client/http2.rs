//! A client of HTTP/2: requests go through h2, which reads the heads of the answers; everything
//! else is seen on the wire, and what h2 would not send is written to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use h2::client::SendRequest;
use h2::ext::Protocol;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::wire::Wire;
use super::{AT_ONCE, Client, body, headers};
use crate::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, RST_STREAM, code, frame, literal, number,
};
use crate::handler::PATIENCE;
use crate::recording::{from_latin1, latin1};

pub(super) struct Http2 {
    wire: Wire,
    requests: SendRequest<Bytes>,
    streams: BTreeMap<u64, Stream>,
    task: tokio::task::JoinHandle<()>,
}

struct Stream {
    sending: h2::SendStream<Bytes>,
    fields: Arc<Mutex<Fields>>,
}

/// What h2 reads of an answer.
#[derive(Clone, Default)]
struct Fields {
    head: Option<(u16, HeaderMap)>,
    trailers: Option<HeaderMap>,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http2 {
    pub(super) async fn connect(wire: Wire) -> Result<Self, String> {
        const LARGEST: u32 = (1 << 31) - 1;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(LARGEST).initial_connection_window_size(LARGEST);
        let (requests, connection) =
            builder.handshake(wire.clone()).await.map_err(|error| error.to_string())?;
        let task = tokio::spawn(async move { _ = connection.await });
        tokio::time::sleep(AT_ONCE).await; // the server's settings
        Ok(Self { wire, requests, streams: BTreeMap::new(), task })
    }

    /// Begins a stream, or ends it with trailers.
    async fn headers(&mut self, step: &Value) -> Result<(), String> {
        let stream = step["stream"].as_u64().unwrap_or_default();
        let end_stream = step["end_stream"] == true;
        if self.streams.contains_key(&stream) {
            let flags = END_HEADERS | if end_stream { END_STREAM } else { 0 };
            let block: Vec<u8> =
                fields(step).flat_map(|(name, value)| literal(name, &latin1(value))).collect();
            self.write(HEADERS, flags, step, &block).await;
            return Ok(());
        }
        let request = request(step)?;
        let mut requests = self.requests.clone().ready().await.map_err(|error| error.to_string())?;
        let (response, sending) =
            requests.send_request(request, end_stream).map_err(|error| error.to_string())?;
        let fields = Arc::<Mutex<Fields>>::default();
        tokio::spawn(read(response, fields.clone()));
        self.streams.insert(stream, Stream { sending, fields });
        Ok(())
    }

    fn data(&mut self, step: &Value) -> Result<(), String> {
        let fill = step["fill"].as_u64().and_then(|octets| usize::try_from(octets).ok());
        let text = step["text"].as_str().map(latin1);
        let data = text.unwrap_or_else(|| vec![b'x'; fill.unwrap_or_default()]);
        let stream = self.streams.get_mut(&step["stream"].as_u64().unwrap_or_default());
        // The server may have reset the stream.
        _ = stream.ok_or("no such stream")?.sending.send_data(data.into(), step["end_stream"] == true);
        Ok(())
    }

    /// Writes a frame between those of h2.
    async fn write(&mut self, kind: u8, flags: u8, step: &Value, payload: &[u8]) {
        tokio::time::sleep(AT_ONCE).await; // h2 has written what it has
        let stream = step["stream"].as_u64().and_then(|stream| u32::try_from(stream).ok());
        let frame = frame(kind, flags, stream.expect("a stream"), payload, None);
        _ = self.wire.write_all(&frame).await;
    }

    /// Waits for `headers:N`, `data:N:OCTETS`, `end:N`, `rst:N` or `goaway`.
    async fn await_frame(&self, what: &str) {
        let mut parts = what.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
        let (stream, octets) = (number().to_string(), number());
        let has_come = || {
            let seen = self.seen();
            let stream = &seen["streams"][&stream];
            match kind {
                "headers" => !stream["status"].is_null(),
                "data" => stream["body"].as_str().is_some_and(|body| body.len() as u64 >= octets),
                "end" => stream["end_stream"] == true,
                "rst" => !stream["rst"].is_null(),
                _ => seen["goaways"] != json!([]),
            }
        };
        let waiting = async {
            while !has_come() {
                tokio::time::sleep(AT_ONCE).await;
            }
        };
        _ = tokio::time::timeout(PATIENCE, waiting).await;
    }
}

impl Client for Http2 {
    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    async fn step(&mut self, kind: &str, argument: &Value) -> Result<bool, String> {
        match kind {
            "headers" => self.headers(argument).await?,
            "data" => self.data(argument)?,
            "rst" => self.write(RST_STREAM, 0, argument, &rst(argument)).await,
            "await" => self.await_frame(argument.as_str().unwrap_or_default()).await,
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn listen(&mut self, time: Duration) {
        tokio::time::sleep(time).await; // h2 reads all the while
    }

    fn seen(&self) -> Value {
        let mut seen = self.wire.end();
        let mut goaways = Vec::new();
        let mut streams = BTreeMap::new();
        for frame in frames(&self.wire.received()) {
            let stream = streams.entry(frame.stream).or_insert((Vec::new(), false, Value::Null));
            match frame.kind {
                DATA => stream.0.extend_from_slice(&frame.payload),
                RST_STREAM => stream.2 = code(&frame.payload).into(),
                GOAWAY => goaways.push(json!([number(&frame.payload), code(&frame.payload[4..])])),
                _ => {}
            }
            stream.1 |= matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        }
        let streams = streams.into_iter().filter(|(stream, _)| *stream != 0);
        let streams = streams.map(|(number, (octets, end_stream, rst))| {
            let fields = self.streams.get(&number.into()).map(|stream| stream.fields.clone());
            let fields = fields.unwrap_or_default().lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (status, head) = fields.head.unzip();
            let mut stream = json!({
                "status": status,
                "headers": described(&head.unwrap_or_default()),
                "body": body(&octets),
                "end_stream": end_stream,
                "rst": rst,
            });
            if let Some(trailers) = &fields.trailers {
                stream["trailers"] = described(trailers);
            }
            (number.to_string(), stream)
        });
        seen["streams"] = Value::Object(streams.collect());
        seen["goaways"] = goaways.into();
        seen
    }
}

/// Reads the head and the trailers of an answer.
async fn read(response: h2::client::ResponseFuture, fields: Arc<Mutex<Fields>>) {
    let set = |set: &dyn Fn(&mut Fields)| set(&mut fields.lock().unwrap_or_else(PoisonError::into_inner));
    let Ok(response) = response.await else { return };
    let (parts, mut body) = response.into_parts();
    set(&|fields| fields.head = Some((parts.status.as_u16(), parts.headers.clone())));
    while let Some(Ok(_)) = body.data().await {}
    if let Ok(Some(trailers)) = body.trailers().await {
        set(&|fields| fields.trailers = Some(trailers.clone()));
    }
}

fn described(map: &HeaderMap) -> Value {
    headers(map.iter().map(|(name, value)| (name.as_str(), from_latin1(value.as_bytes()))))
}

fn fields(step: &Value) -> impl Iterator<Item = (&str, &str)> {
    let fields = step["fields"].as_array().into_iter().flatten();
    fields.map(|field| (field[0].as_str().unwrap_or_default(), field[1].as_str().unwrap_or_default()))
}

fn request(step: &Value) -> Result<Request<()>, String> {
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    let mut uri = axum::http::uri::Builder::new();
    for (name, value) in fields(step) {
        match name {
            ":method" => *request.method_mut() = value.parse().map_err(|_| "no method")?,
            ":scheme" => uri = uri.scheme(value),
            ":path" => uri = uri.path_and_query(value),
            ":authority" => uri = uri.authority(value),
            ":protocol" => _ = request.extensions_mut().insert(Protocol::from(value)),
            _ => {
                let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
                let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
                request.headers_mut().append(name, value);
            }
        }
    }
    *request.uri_mut() = uri.build().map_err(|error| error.to_string())?;
    Ok(request)
}

/// The whole frames of what has come.
fn frames(mut received: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((frame, length)) = Frame::read(received) {
        frames.push(frame);
        received = &received[length..];
    }
    frames
}

fn rst(step: &Value) -> [u8; 4] {
    let code = step["code"].as_u64().and_then(|code| u32::try_from(code).ok());
    code.unwrap_or_default().to_be_bytes()
}
