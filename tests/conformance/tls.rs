//! The handshakes of `tls/probes.json`, against the reference endpoints (`examples/reference_tls`)
//! by the recordings' own program.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::recording::{self, Case, recording};
use crate::table::How::Like;
use crate::table::{Difference, Different, Report, row};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    row("garbage.http", 1, "plain HTTP on a TLS port is answered in words", Like("served none 400 fin *")),
    row("garbage.http10", 1, "plain HTTP on a TLS port is answered in words", Like("served none 400 fin *")),
    row("garbage.h2-preface", 1, "plain HTTP on a TLS port is answered in words", Like("served none 400 fin *")),
    row("garbage.http-then-tls", 1, "plain HTTP on a TLS port is answered in words", Like("served none 400 fin *")),
    row("garbage.server-lives", 1, "plain HTTP on a TLS port is answered in words", Like("open none open | open none open | open none open | served ok v1.3 localhost 200 open")),
    row("middleware.counts", 1, "plain HTTP on a TLS port is answered in words", Like("served ok v1.3 localhost warning close_notify 200'ok' fin * | served none 400 fin * | closed none fin * | closed failed v1.3 fatal no_application_protocol fin * | *")),
    row("middleware.hello-hook-http", 1, "plain HTTP on a TLS port is answered in words", Like("served none 400 fin *")),
    row("middleware.hello-bytes-large", 1, "the hook sees all records of the hello, not the first only", Like("served ok v1.3 http/1.1 localhost 200'<hello>' open")),
    row("middleware.hello-bytes-records", 1, "the hook sees all records of the hello, not the first only", Like("served ok v1.3 localhost 200'<hello>' open")),
    row("alpn.http10-only", 1, "`http/1.0` is agreed on by ALPN", Like("served ok v1.3 http/1.0 localhost 200 open")),
    row("sni.override-require-good", 1, "misdirected", Like("served ok v1.3 localhost asked 421 open")),
    row("sni.override-none", 1, "misdirected", Like("served ok v1.3 localhost 421 open")),
    row("sni.callback-client", 1, "misdirected", Like("served ok v1.3 localhost asked 421 open")),
    row("sni.selector-upper-case", 1, "the selector gets the name in lower case", Like("served ok v1.3 no-san.test.local 200*")),
    row("after.renegotiation", 1, "no renegotiation: it is refused with an alert, and the connection goes on", Like("served ok v1.2 localhost 200 open")),
    row("after.renegotiation-http1-endpoint", 1, "no renegotiation: it is refused with an alert, and the connection goes on", Like("open ok v1.2 localhost open")),
    row("close.h2-client-close-notify", 1, "who says close_notify is answered with it, and needs no GOAWAY", Like("served ok v1.3 h2 localhost warning close_notify 1=200 fin *")),
    row("timeout.idle-h2", 1, "an idle connection of HTTP/2 is told twice to go, and has 5 s to hear it", Like("served ok v1.3 h2 localhost 1=200 GOAWAY(2147483647,NO_ERROR) fin *")),
];

#[tokio::test]
async fn handshakes_go_as_they_do_with_kestrel() {
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let Some(recorded) = recording("tls/recorded.json") else { return };
    let reference = recording::folder();
    let folder = reference.join("tls");
    let Some(program) = example() else {
        eprintln!("skipped: the example reference_tls is not built");
        return;
    };
    let base = free_ports();
    let server =
        Command::new(program).arg(base.to_string()).arg(folder.join("certs")).stderr(Stdio::null()).spawn();
    let _server = Server(server.unwrap());
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", base + 33)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "the reference endpoints do not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let wheels =
        std::fs::read_dir(reference.join("http2/wheels")).unwrap().map(|entry| entry.unwrap().path());
    let modules = [reference.join("http1"), reference.join("http2")].into_iter().chain(wheels);
    let modules = std::env::join_paths(modules).unwrap();
    let result = std::env::temp_dir().join(format!("kestrel-rs-tls-{}.json", std::process::id()));
    let probe = || {
        let mut command = Command::new("python3");
        command.arg(folder.join("tlsprobe.py")).env("PYTHONPATH", &modules).stderr(Stdio::null());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    let address = format!("127.0.0.1:{base}");
    let run = probe()
        .arg(folder.join("probes.json"))
        .arg(&address)
        .arg("--certs")
        .arg(folder.join("certs"))
        .arg("--out")
        .arg(&result)
        .args(["--jobs", "16"])
        .status();
    assert!(run.unwrap().success(), "the probes could not be run");
    let compared = probe().arg("--compare").arg(folder.join("recorded.json")).arg(&result).output().unwrap();
    let _ = std::fs::remove_file(&result);
    let compared = String::from_utf8_lossy(&compared.stdout);
    let summary = compared.lines().last().unwrap_or_default();
    assert!(summary.contains("probes agree"), "{compared}");
    eprintln!("{summary}");
    let mut differ: BTreeMap<&str, (&str, &str)> = compared.lines().filter_map(difference).collect();
    let mut report = Report::new("tls/recorded.json", DIFFERENCES);
    for id in recorded.as_object().into_iter().flatten().map(|(id, _)| id) {
        let case = Case { id: id.clone(), input: Value::Null, output: recorded[id].clone() };
        let differs = differ.remove(&**id);
        report.note(&case, differs.map_or(Ok(()), |(golden, here)| Err(Different::new(golden, here))));
    }
    assert!(differ.is_empty(), "of probes that nobody recorded: {differ:?}");
    report.finish();
}

/// `DIFF id: golden .. || here ..`
fn difference(line: &str) -> Option<(&str, (&str, &str))> {
    let (id, what) = line.strip_prefix("DIFF ")?.split_once(": ")?;
    Some((id, what.split_once(" || here ")?))
}

/// The example, which cargo builds along with the tests.
fn example() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let program = test.parent()?.parent()?.join("examples/reference_tls");
    program.exists().then_some(program)
}

/// The first of 34 ports that are free, as far as one can tell.
fn free_ports() -> u16 {
    (20_000..30_000)
        .step_by(34)
        .skip(usize::from(u16::try_from(std::process::id() % 200).unwrap()))
        .find(|base| (0..34).all(|n| TcpListener::bind(("127.0.0.1", base + n)).is_ok()))
        .unwrap()
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
