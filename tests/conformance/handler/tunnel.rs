//! The steps of a recorded handler that make a connection or a stream something else than HTTP.

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Version};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer::Answer;
use super::{Given, Outcome, name, octets, other};

pub(super) struct Tunnel {
    protocol: Option<Protocol>,
    is_connect: bool,
    upgrade: Option<OnUpgrade>,
    /// Once the answer is made.
    stream: Option<TokioIo<Upgraded>>,
}

impl Tunnel {
    pub(super) fn of(parts: &mut Parts) -> Self {
        Self {
            protocol: parts.extensions.get::<Protocol>().cloned(),
            is_connect: parts.method == Method::CONNECT || parts.version == Version::HTTP_2,
            upgrade: parts.extensions.remove::<OnUpgrade>(),
            stream: None,
        }
    }

    /// `None`: it is not about a tunnel.
    pub(super) async fn step(&mut self, step: &Value, answer: &mut Answer) -> Option<Outcome> {
        let name = name(step);
        Some(match name {
            "is-upgradable" => Ok(Given::Value(self.is_upgradable().into())),
            "is-extended-connect" => Ok(Given::Value(self.protocol.is_some().into())),
            "connect-protocol" => Ok(Given::Value(self.protocol.as_ref().map(Protocol::as_str).into())),
            "upgrade" if self.is_upgradable() => self.open(answer, StatusCode::SWITCHING_PROTOCOLS).await,
            "accept" if self.protocol.is_some() && answer.status().is_success() => {
                let status = answer.status();
                self.open(answer, status).await
            }
            "upgrade" | "accept" => Err(other("not a request for a tunnel")),
            _ if name.starts_with("duplex-") => match &mut self.stream {
                Some(stream) => pass(stream, name, step).await?.map_err(other),
                None => Err(other("no tunnel")),
            },
            _ => return None,
        })
    }

    fn is_upgradable(&self) -> bool {
        self.upgrade.is_some() && !self.is_connect
    }

    async fn open(&mut self, answer: &mut Answer, status: StatusCode) -> Outcome {
        if answer.has_started() {
            return Err(other("the head is gone"));
        }
        let upgrade = self.upgrade.take().ok_or_else(|| other("taken before"))?;
        answer.switch(status);
        let upgraded = upgrade.await.map_err(other)?;
        self.stream = Some(TokioIo::new(upgraded));
        Ok(Given::Nothing)
    }
}

/// `None`: there is no such step.
async fn pass(stream: &mut TokioIo<Upgraded>, name: &str, step: &Value) -> Option<std::io::Result<Given>> {
    let text = |octets: &[u8]| Given::Value(String::from_utf8_lossy(octets).into());
    let mut read = Vec::new();
    Some(match name {
        "duplex-read" => {
            let result = stream.take(octets(&step[1]) as u64).read_to_end(&mut read).await;
            result.map(|_| text(&read))
        }
        "duplex-read-some" => stream.read_buf(&mut read).await.map(|_| text(&read)),
        "duplex-write" => {
            let written = stream.write_all(step[1].as_str().unwrap_or_default().as_bytes()).await;
            if written.is_ok() { stream.flush().await } else { written }.map(|()| Given::Nothing)
        }
        "duplex-dispose" => stream.shutdown().await.map(|()| Given::Nothing),
        _ => return None,
    })
}
