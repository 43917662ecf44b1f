//! What the command line asks for.

use std::time::Duration;

use crate::common::Result;
use crate::common::arguments::{Extent, names};
use crate::loads::{LOADS, Load};
use crate::process;
use crate::servers::{Program, SERVERS, Server};

pub(crate) const HELP: &str = "\
cargo bench --bench compare -- [OPTIONS]
  --rounds N        rounds of every load (5); idle takes at most 3
  --seconds S       length of one measurement (2)
  --settle S        idle: how long connections rest before memory is read (3)
  --idle N          idle: connections (2000, or what the limit of open files leaves)
  --only A,B        these loads: keepalive, browser, varied, post, post-chunked,
                    tiny-chunks, upload, download, pipelined-4, pipelined-16, churn,
                    idle, http2, http2-single, tls-keepalive, tls-churn, tls-resumed,
                    tls-idle
  --servers A,B     these servers, in every load whose protocol they speak
  --peers           actix, ntex, salvo and xitca take part too; they are built first
  --server-cpus L   servers run on these processors, a list as taskset takes it
environment: KESTREL_APP=PROGRAM takes part as `real`; it is called with PORT SHORT_PORT";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    /// Length of the part before a measurement that is not counted.
    pub(crate) warm_up: Duration,
    /// The same for a server that compiles while it runs, once for each load.
    pub(crate) long_warm_up: Duration,
    pub(crate) settle: Duration,
    pub(crate) idle: usize,
    pub(crate) loads: Vec<String>,
    pub(crate) servers: Vec<String>,
    pub(crate) peers: bool,
    pub(crate) server_cpus: Option<String>,
}

impl Options {
    fn standard() -> Self {
        Self {
            rounds: 5,
            length: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            long_warm_up: Duration::from_secs(12),
            settle: Duration::from_secs(3),
            idle: 2_000,
            loads: Vec::new(),
            servers: Vec::new(),
            peers: false,
            server_cpus: None,
        }
    }

    fn smoke() -> Self {
        Self {
            rounds: 1,
            length: Duration::from_millis(100),
            warm_up: Duration::from_millis(50),
            long_warm_up: Duration::from_millis(500),
            settle: Duration::from_millis(50),
            idle: 50,
            ..Self::standard()
        }
    }

    pub(crate) fn wants_load(&self, name: &str) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|wanted| wanted == name)
    }

    pub(crate) fn wants_server(&self, server: &Server, load: &Load) -> bool {
        if !self.wants_load(load.name) || !server.speaks.contains(&load.protocol()) {
            return false;
        }
        match self.servers.as_slice() {
            [] => server.only.is_empty() || server.only.contains(&load.name),
            wanted => wanted.iter().any(|name| name == server.name),
        }
    }

    /// The servers to compare: those asked for, else all that can run here.
    pub(crate) fn available(&self) -> Vec<&'static Server> {
        static ALL: [Server; SERVERS.len()] = SERVERS;
        ALL.iter()
            .filter(|server| match server.program {
                Program::Own => true,
                // Asked for and not there: let the first measurement say so.
                _ if !self.servers.is_empty() => true,
                Program::Peer => self.peers,
                Program::Named { variable } => std::env::var_os(variable).is_some(),
            })
            .filter(|server| LOADS.iter().any(|load| self.wants_server(server, load)))
            .collect()
    }
}

pub(crate) fn read(extent: Extent, mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = match extent {
        Extent::Whole => Options::standard(),
        Extent::Smoke => Options::smoke(),
    };
    while let Some(name) = args.next() {
        if name == "--peers" {
            options.peers = true;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{name} is unknown or lacks its value\n{HELP}"))?;
        match name.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.length = Duration::try_from_secs_f64(value.parse()?)?,
            "--settle" => options.settle = Duration::try_from_secs_f64(value.parse()?)?,
            "--idle" => options.idle = value.parse()?,
            "--only" => options.loads = names(&value, &LOADS.map(|load| load.name))?,
            "--servers" => options.servers = names(&value, &SERVERS.map(|server| server.name))?,
            "--server-cpus" => options.server_cpus = Some(value),
            _ => return Err(format!("{name} is unknown\n{HELP}").into()),
        }
    }
    if options.rounds == 0 || options.length.is_zero() || options.idle == 0 {
        return Err("nothing to measure: --rounds, --seconds and --idle must be above 0".into());
    }
    // A connection is an open file on either side, and a process needs some for itself.
    if let Some(limit) = process::open_files_limit() {
        options.idle = options.idle.min(limit.saturating_sub(100).max(1));
    }
    Ok(options)
}
