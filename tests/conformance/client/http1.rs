//! A client of HTTP/1.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::Wire;
use super::{Client, body, headers};
use crate::handler::PATIENCE;
use crate::http::{answers_and_rest, find};
use crate::recording::latin1;

pub(super) struct Http1 {
    wire: Wire,
    /// For each request: it is a HEAD.
    head: Vec<bool>,
}

impl Http1 {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, head: Vec::new() }
    }

    /// Reads until the connection ends, the time is over, or what has come is enough.
    async fn read(&mut self, time: Duration, enough: impl Fn(&[u8]) -> bool) {
        let reading = async {
            let mut buffer = [0; 4096];
            while self.wire.is_open() && !enough(&self.wire.received()) {
                _ = self.wire.read(&mut buffer).await;
            }
        };
        _ = tokio::time::timeout(time, reading).await;
    }
}

impl Client for Http1 {
    fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    async fn step(&mut self, kind: &str, argument: &Value) -> Result<bool, String> {
        let octets = latin1(argument.as_str().or(argument[0].as_str()).unwrap_or_default());
        match kind {
            "send" => {
                self.head.push(octets.starts_with(b"HEAD "));
                // The server may refuse before it has read everything.
                _ = self.wire.write_all(&octets).await;
            }
            "repeat" => {
                let times = argument[1].as_u64().and_then(|times| usize::try_from(times).ok());
                _ = self.wire.write_all(&octets.repeat(times.unwrap_or_default())).await;
            }
            "expect" => self.read(PATIENCE, |all| find(all, &octets).is_some()).await,
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn listen(&mut self, time: Duration) {
        self.read(time, |_| false).await;
    }

    fn seen(&self) -> Value {
        let received = self.wire.received();
        let (answers, rest) = answers_and_rest(&received, &self.head);
        let answers = answers.iter().map(|answer| {
            let lines = answer.headers.iter().map(|(name, value)| (&**name, value.clone()));
            json!({
                "status": answer.status,
                "reason": answer.reason,
                "headers": headers(lines),
                "body": body(&answer.body),
                "complete": answer.complete,
            })
        });
        let mut seen = self.wire.end();
        seen["responses"] = answers.collect();
        if !rest.is_empty() {
            seen["rest"] = body(rest);
        }
        seen
    }
}
