//! A client of HTTP/2, frame by frame.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::wire::Wire;
use super::{Client, body, headers};
use crate::frames::encode::encode;
use crate::frames::seen::{Field, Seen};
use crate::frames::{ACK, PING, PREFACE, frame};
use crate::handler::PATIENCE;
use crate::recording::from_latin1;

pub(super) struct Http2 {
    wire: Wire,
    seen: Seen,
    /// How much of what the wire has received has been taken.
    taken: usize,
}

impl Http2 {
    /// Says the preface, and that everything may come at once.
    pub(super) async fn connect(wire: Wire) -> Result<Self, String> {
        const INITIAL_WINDOW_SIZE: u32 = 4;
        const LARGEST: u32 = (1 << 31) - 1;
        let mut client = Self { wire, seen: Seen::default(), taken: 0 };
        let settings = encode("settings", &json!([[INITIAL_WINDOW_SIZE, LARGEST]]), 0)?;
        let window = encode("window_update", &json!({ "increment": LARGEST - 65_535 }), 0)?;
        _ = client.wire.write_all(&[PREFACE, &settings, &window].concat()).await;
        client.read(PATIENCE, |seen| seen.settings_acks > 0).await;
        Ok(client)
    }

    /// Reads until the connection ends, the time is over, or what has come is enough.
    async fn read(&mut self, time: Duration, enough: impl Fn(&Seen) -> bool) {
        let until = Instant::now() + time;
        let mut buffer = [0; 4096];
        self.take().await;
        while self.wire.is_open() && !enough(&self.seen) {
            let left = until.saturating_duration_since(Instant::now());
            let has_come = timeout(left, self.wire.read(&mut buffer)).await.is_ok();
            self.take().await;
            if !has_come {
                return;
            }
        }
    }

    /// Takes the frames that have come, and acknowledges what is to be.
    async fn take(&mut self) {
        let received = self.wire.received();
        self.seen.rest.extend_from_slice(&received[self.taken..]);
        self.taken = received.len();
        for owed in self.seen.take() {
            let payload = if owed.kind == PING { &owed.payload[..] } else { &[] };
            _ = self.wire.write_all(&frame(owed.kind, ACK, 0, payload, None)).await; // the server may have gone
        }
    }
}

impl Client for Http2 {
    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    async fn step(&mut self, kind: &str, argument: &Value) -> Result<bool, String> {
        match kind {
            "data" if argument["fill"].is_u64() => {
                let mut left = argument["fill"].as_u64().unwrap_or_default();
                while left > 0 {
                    let fill = left.min(LARGEST_FRAME);
                    left -= fill;
                    let end_stream = left == 0 && argument["end_stream"] == true;
                    let data =
                        json!({ "stream": argument["stream"], "fill": fill, "end_stream": end_stream });
                    _ = self.wire.write_all(&encode(kind, &data, 0)?).await;
                }
            }
            // The server may have gone.
            "headers" | "data" | "rst" => _ = self.wire.write_all(&encode(kind, argument, 0)?).await,
            "await" => {
                let what = argument.as_str().unwrap_or_default();
                self.read(PATIENCE, |seen| seen.has(what)).await;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn listen(&mut self, time: Duration) {
        self.read(time, |_| false).await;
    }

    fn seen(&self) -> Value {
        let streams = self.seen.streams.iter().map(|(number, stream)| {
            let mut record = json!({
                "status": stream.status,
                "headers": described(&stream.headers),
                "body": body(&stream.body),
                "end_stream": stream.is_ended,
                "rst": stream.rst,
            });
            if !stream.informational.is_empty() {
                record["informational"] = json!(stream.informational);
            }
            if !stream.trailers.is_empty() {
                record["trailers"] = described(&stream.trailers);
            }
            (number.to_string(), record)
        });
        let mut seen = self.wire.end();
        seen["streams"] = Value::Object(streams.collect::<Map<_, _>>());
        seen["goaways"] = json!(self.seen.goaways);
        seen
    }
}

fn described(fields: &[Field]) -> Value {
    headers(fields.iter().map(|(name, value)| (&**name, from_latin1(value))))
}

/// A server takes no larger one unless it says so.
const LARGEST_FRAME: u64 = 16_384;
