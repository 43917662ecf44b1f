//! Frames in, frames out: every probe over a real socket against the reference application.
//!
//! The runner is `h2probe.py`, with which the real Kestrel was recorded; it says what differs, headers too.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::probes::{Server, free_ports};
use crate::support::{Elsewhere, Report, folder, recording};

#[tokio::test]
async fn every_probe_of_http2_gets_the_frames_that_kestrel_sent() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: python3 is not there, which runs the probes");
        return;
    }
    let ((port, short_port), (small_port, _)) = (free_ports(), free_ports());
    let server = Server::start(&[port, short_port, small_port]);
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (default, short, small) = (local(port + 100), local(short_port + 100), local(small_port));
    for address in [default, short, small] {
        server.wait_until_it_answers(address).await;
    }
    let run = tokio::task::spawn_blocking(move || {
        replay("http2/recorded.json", "probes.json", &[default.to_string(), format!("--short={short}")]);
        replay("http2/small.recorded.json", "small.probes.json", &[small.to_string()]);
    });
    run.await.unwrap();
}

fn replay(recorded: &'static str, probes: &str, target: &[String]) {
    let Some(Value::Object(golden)) = recording(recorded) else { return };
    let results = std::env::temp_dir().join(format!("kestrel-rs-{}-{probes}", std::process::id()));
    let http2 = folder().join("http2");
    runner(
        &http2,
        [probes].into_iter().chain(target.iter().map(String::as_str)).chain([
            "--jobs=16",
            "--out",
            results.to_str().unwrap(),
        ]),
    );
    let golden_file = folder().join(recorded);
    let compared =
        runner(&http2, ["--compare", golden_file.to_str().unwrap(), results.to_str().unwrap(), "--headers"]);
    _ = std::fs::remove_file(results);

    let mut differ: BTreeMap<&str, &str> = compared.lines().filter_map(difference).collect();
    let mut report = Report::new(recorded, &[""], Elsewhere::No);
    for id in golden.keys() {
        let what = differ.remove(id.as_str());
        report.note(id, Value::Null, what.map_or(Ok(()), |what| Err(what.to_owned())));
    }
    assert!(differ.is_empty(), "of probes that nobody recorded: {differ:?}");
    report.finish();
}

/// `DIFF id (scope only): golden .. | here ..`
fn difference(line: &str) -> Option<(&str, &str)> {
    let (id, what) = line.strip_prefix("DIFF ")?.split_once(": ")?;
    Some((id.split(' ').next()?, what))
}

fn runner<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let output =
        Command::new("python3").arg("h2probe.py").args(arguments).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("Traceback"), "{errors}");
    text
}
