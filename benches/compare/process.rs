//! A server in a process of its own, so that its CPU time and memory are its alone.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::common::Result;
use crate::common::parent::ServerProcess;
use crate::common::protocol::Protocol;
use crate::servers::{Program, Server};

/// Linux counts CPU time for user space in hundredths of a second on every architecture that Rust has.
const TICKS_PER_SECOND: f64 = 100.0;

/// Whether this system tells what a process uses.
pub(crate) fn can_measure() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// Starts a server of the list, on these processors or all.
pub(crate) async fn start(server: &Server, protocol: Protocol, cpus: Option<&str>) -> Result<ServerProcess> {
    match server.program {
        Program::Own => {
            let program = std::env::current_exe()?;
            ServerProcess::start(command(&program, cpus).args(["--serve", server.name, protocol.name()]))
        }
        Program::Peer => ServerProcess::start(command(&peers(), cpus).arg(server.name)),
        Program::Named { variable } => {
            let program = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set"))?;
            start_named(Path::new(&program), protocol, cpus).await
        }
    }
}

/// The program, on these processors.
fn command(program: &Path, cpus: Option<&str>) -> Command {
    match cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", cpus]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

/// The reference program takes two ports, and speaks HTTP/2 on each of them plus 100.
async fn start_named(program: &Path, protocol: Protocol, cpus: Option<&str>) -> Result<ServerProcess> {
    let port = (20_000..30_000)
        .step_by(2)
        .find(|port| [*port, port + 1, port + 100, port + 101].into_iter().all(is_free))
        .ok_or("no free ports")?;
    let mut command = command(program, cpus);
    command.args([port.to_string(), (port + 1).to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
    let port = match protocol {
        Protocol::Http1 | Protocol::Https => port,
        Protocol::Http2 => port + 100,
    };
    let process = ServerProcess::start_at(&mut command, port)?;
    let started = Instant::now();
    while TcpStream::connect(process.address).is_err() {
        if started.elapsed() > Duration::from_secs(20) {
            return Err("it does not listen".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(process)
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The program of the other frameworks' servers.
fn peers() -> PathBuf {
    Path::new(ROOT).join("target/peers/release/peers")
}

/// Builds it: a crate that no other build of this project knows.
pub(crate) fn build_peers() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--manifest-path", "benches/peers/Cargo.toml"])
        .args(["--target-dir", "target/peers"])
        .current_dir(ROOT)
        .status()?;
    if built.success() { Ok(()) } else { Err("the peers do not build".into()) }
}

impl ServerProcess {
    /// User and system time of all threads until now.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        cpu_time(&self.child.id().to_string())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}

/// User and system time of this process: what the clients cost.
pub(crate) fn own_cpu_time() -> Result<Duration> {
    cpu_time("self")
}

fn cpu_time(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in parentheses, may hold spaces; utime and stime are the 12th and 13th after it.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
    let ticks: Vec<u32> =
        fields.split_ascii_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_secs_f64(f64::from(ticks.iter().sum::<u32>()) / TICKS_PER_SECOND))
}

/// How many files a process may have open: connections are files.
pub(crate) fn open_files_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
