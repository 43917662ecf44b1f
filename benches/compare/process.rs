//! A server in a process of its own, so that its CPU time and memory are its alone.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Result;
use crate::protocol::Protocol;
use crate::servers::{Program, Server};

/// Linux counts CPU time for user space in hundredths of a second on every architecture that Rust has.
const TICKS_PER_SECOND: f64 = 100.0;

/// Whether this system tells what a process uses.
pub(crate) fn can_measure() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// A started server; dropping it ends the process.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    pub(crate) async fn start(server: &Server, protocol: Protocol) -> Result<Self> {
        match server.program {
            Program::Own(_) => Self::start_own(server.name, protocol),
            Program::Named { variable } => {
                let program = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set"))?;
                Self::start_named(Path::new(&program), protocol).await
            }
        }
    }

    fn start_own(name: &str, protocol: Protocol) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", name, protocol.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take();
        let mut process = Self { child, address: (Ipv4Addr::LOCALHOST, 0).into() };
        let mut port = String::new();
        BufReader::new(output.ok_or("no standard output")?).read_line(&mut port)?;
        process.address.set_port(port.trim_end().parse().map_err(|_| "it did not say its port")?);
        Ok(process)
    }

    /// The reference program takes two ports, and speaks HTTP/2 on each of them plus 100.
    async fn start_named(program: &Path, protocol: Protocol) -> Result<Self> {
        let port = (20_000..30_000)
            .step_by(2)
            .find(|port| [*port, port + 1, port + 100, port + 101].into_iter().all(is_free))
            .ok_or("no free ports")?;
        let child = Command::new(program)
            .args([port.to_string(), (port + 1).to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let port = match protocol {
            Protocol::Http1 | Protocol::Https => port,
            Protocol::Http2 => port + 100,
        };
        let process = Self { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        let started = Instant::now();
        while TcpStream::connect(process.address).is_err() {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("it does not listen".into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(process)
    }

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

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell otherwise.
        let _ = self.child.kill();
        let _ = self.child.wait();
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
