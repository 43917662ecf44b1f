//! The handshakes of `tls/probes.json`, against the reference endpoints (`examples/reference_tls`)
//! by the recordings' own program.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// What differs, and why. A probe that agrees after all stays in the table without harm to the
/// test; one that differs and is not in it fails the test.
const DIFFERENCES: &[(&str, &[&str])] = &[
    (
        "plain HTTP on a TLS port is answered in words",
        &[
            "garbage.http",
            "garbage.http10",
            "garbage.h2-preface",
            "garbage.http-then-tls",
            "garbage.server-lives",
            "middleware.counts",
            "middleware.hello-hook-http",
        ],
    ),
    (
        "the hook sees all records of the hello, not the first only",
        &["middleware.hello-bytes-large", "middleware.hello-bytes-records"],
    ),
    ("`http/1.0` is agreed on by ALPN", &["alpn.http10-only"]),
    (
        "misdirected: the host has other rules for client certificates than the name asked for",
        &["sni.override-require-good", "sni.override-none", "sni.callback-client"],
    ),
    ("the selector gets the name in lower case", &["sni.selector-upper-case"]),
    (
        "no renegotiation: it is refused with an alert, and the connection goes on",
        &["after.renegotiation", "after.renegotiation-http1-endpoint"],
    ),
    (
        "HTTP/2 is hyper's as yet: GOAWAY, idle time and :scheme",
        &[
            "alpn.http1-text-on-h2",
            "close.h2-client-close-notify",
            "http.h2-scheme-http",
            "timeout.idle-h2",
            "timeout.idle-h2-no-preface",
        ],
    ),
];

#[tokio::test]
async fn handshakes_go_as_they_do_with_kestrel() {
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let reference = std::env::var_os("KESTREL_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference"), PathBuf::from);
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
    let explained = |id: &str| DIFFERENCES.iter().any(|(_, ids)| ids.contains(&id));
    let wrong: Vec<_> = compared
        .lines()
        .filter(|line| {
            let id = line.strip_prefix("DIFF ").and_then(|line| line.split(':').next());
            id.is_some_and(|id| !explained(id))
        })
        .collect();
    let summary = compared.lines().last().unwrap_or_default();
    assert!(summary.contains("probes agree"), "{compared}");
    println!("{summary}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
