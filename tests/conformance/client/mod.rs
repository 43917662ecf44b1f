//! Recorded clients: what they send, when, and what they see, in the form of the recording.

mod http1;
mod http2;
mod wire;

use std::time::Duration;

use kestrel_rs::test::TestServer;
use serde_json::{Map, Value, json};

use self::http1::Http1;
use self::http2::Http2;
use self::wire::Wire;
use crate::cases::{client as steps, is_http2};
use crate::handler::{Handlers, PATIENCE};
use crate::recording::Case;

/// Sends what the client of a case sends; gives what was recorded of its connection, as seen here.
pub(crate) async fn converse(case: &Case, server: &TestServer, handlers: &Handlers) -> Result<Value, String> {
    let wire = Wire::new(server.connect().await.map_err(|error| error.to_string())?);
    if is_http2(case) {
        carry_out(case, Http2::connect(wire).await?, handlers).await
    } else {
        carry_out(case, Http1::new(wire), handlers).await
    }
}

/// A client of one version of HTTP.
trait Client {
    fn wire(&mut self) -> &mut Wire;

    /// Carries out a step that is of this version; false if there is none.
    async fn step(&mut self, kind: &str, argument: &Value) -> Result<bool, String>;

    /// Takes what comes for so long.
    async fn listen(&mut self, time: Duration);

    /// Everything so far, as it was recorded.
    fn seen(&self) -> Value;
}

async fn carry_out(case: &Case, mut client: impl Client, handlers: &Handlers) -> Result<Value, String> {
    let mut looks = Map::new();
    for step in steps(case) {
        let (kind, argument) = step.as_object().and_then(|step| step.iter().next()).ok_or("an empty step")?;
        let text = argument.as_str().unwrap_or_default();
        match &**kind {
            "wait" => client.listen(Duration::from_secs_f64(argument.as_f64().unwrap_or_default())).await,
            "half_close" => client.wire().finish().await,
            "close" | "reset" => client.wire().drop_connection(),
            "await_handler" => _ = tokio::time::timeout(PATIENCE, handlers.signals().told(text)).await,
            "tell" => handlers.signals().tell(text),
            "look" => {
                client.listen(AT_ONCE).await;
                looks.insert(text.to_owned(), client.seen());
            }
            _ if client.step(kind, argument).await? => {}
            other => return Err(format!("the client has no {other}")),
        }
    }
    // A silence ends a case, once its handlers are done.
    let silence = Duration::from_secs_f64(case.input["linger"].as_f64().unwrap_or(0.35));
    loop {
        let before = client.wire().received().len();
        tokio::select! {
            () = handlers.are_done() => {}
            () = client.listen(PATIENCE) => {}
        }
        client.listen(silence).await;
        if !client.wire().is_open() || client.wire().received().len() == before {
            break;
        }
    }
    let mut seen = client.seen();
    if !looks.is_empty() {
        seen["looks"] = looks.into();
    }
    Ok(seen)
}

/// Nothing else is left to be done when time goes on.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The connection is open.
fn open() -> Value {
    json!({"end": "open", "how": "open"})
}

/// The connection has ended.
fn closed(how: &str) -> Value {
    json!({"end": "closed", "how": how})
}

/// Headers as they were recorded: a list of lines each, without what is different each time.
fn headers<'a>(all: impl Iterator<Item = (&'a str, String)>) -> Value {
    let mut headers = Map::new();
    for (name, value) in all {
        if (name != "date" || !value.ends_with(" GMT")) && (name != "server" || value != "kestrel-rs") {
            let lines = headers.entry(name).or_insert_with(|| json!([]));
            lines.as_array_mut().expect("a list of lines").push(value.into());
        }
    }
    headers.into()
}

/// A body as it was recorded: a long one by its length.
fn body(octets: &[u8]) -> Value {
    const LONG: usize = 2000;
    if octets.len() > LONG {
        format!("{} bytes", octets.len()).into()
    } else {
        crate::recording::from_latin1(octets).into()
    }
}
