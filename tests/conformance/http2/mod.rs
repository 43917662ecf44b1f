//! Frames in, frames out: every probe over a real socket against the reference application.
//!
//! What must agree is what `h2probe.py`, the runner that the real Kestrel was recorded with, compares, with headers: the
//! streams (bodies of 2xx only), the codes of GOAWAY, whether the connection stayed open, where the streams stood at the
//! marks, octets that are no frames, answers to PING while open; the SETTINGS in the group of that name.
//!
//! | file | what |
//! |---|---|
//! | `client` | carries out the steps of a probe |
//! | `digest` | what has come of the server, in the form in which it is compared |

mod client;
mod digest;

use std::net::SocketAddr;
use std::sync::Arc;

use self::client::Client;
use self::digest::{digest, line};
use crate::differences::{HTTP2, SMALL_HTTP2};
use crate::recording::Case;
use crate::reference::{Target, any_of, http2, replay_probes};
use crate::table::{Different, Outcome};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_probe_of_http2_gets_the_frames_that_kestrel_sent() {
    let target = Target::find().await;
    let (default, short) = (http2(target.default), http2(target.short));
    replay_probes(["http2/probes.json", "http2/recorded.json"], HTTP2, &target, move |case| async move {
        let is_short = case.input["server"] == "short";
        run(case, if is_short { short } else { default }).await
    })
    .await;
    let Some(small) = target.small else { return };
    let files = ["http2/small.probes.json", "http2/small.recorded.json"];
    replay_probes(files, SMALL_HTTP2, &target, move |case| run(case, small)).await;
}

async fn run(case: Arc<Case>, address: SocketAddr) -> Outcome {
    let seen = Client::connect(&case.input, address).await?.carry_out().await?;
    let recorded = &case.output;
    let here = digest(&seen, recorded);
    if any_of(recorded).any(|golden| digest(golden, recorded) == here) {
        return Ok(());
    }
    let golden = digest(recorded, recorded);
    let names = here.as_object().into_iter().flatten().filter(|(name, value)| golden[name] != **value);
    let what: Vec<_> = names.map(|(name, value)| format!("{name} {} is {value}", golden[name])).collect();
    Err(Different::new(format!("recorded {} ({})", line(recorded), what.join("; ")), line(&seen)))
}
