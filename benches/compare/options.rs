//! What the command line asks for.

use std::time::Duration;

use crate::Result;
use crate::loads::{LOADS, Load};
use crate::process;
use crate::protocol::Protocol;
use crate::servers::{Program, SERVERS, Server};

pub(crate) const HELP: &str = "\
cargo bench --bench compare -- [OPTIONS]
  --rounds N        rounds of every load (5); idle takes at most 3
  --seconds S       length of one measurement (2)
  --settle S        idle: how long connections rest before memory is read (3)
  --idle N          idle: connections (2000, or what the limit of open files leaves)
  --only A,B        these loads: keepalive, browser, pipelined, churn, idle, http2,
                    tls-keepalive, tls-churn, tls-resumed, tls-idle
  --servers A,B     these servers, in every load whose protocol they speak
environment: KESTREL_APP=PROGRAM takes part as `real`; it is called with PORT SHORT_PORT";

/// One process of this benchmark: the one that measures, or one of those that it measures.
pub(crate) enum Task {
    Help,
    Serve { server: String, protocol: Protocol },
    Compare(Options),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    /// Length of the part before a measurement that is not counted.
    pub(crate) warm_up: Duration,
    pub(crate) settle: Duration,
    pub(crate) idle: usize,
    pub(crate) loads: Vec<String>,
    pub(crate) servers: Vec<String>,
}

impl Options {
    fn standard() -> Self {
        Self {
            rounds: 5,
            length: Duration::from_secs(2),
            warm_up: Duration::from_millis(300),
            settle: Duration::from_secs(3),
            idle: 2_000,
            loads: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// `cargo test --all-targets` runs benchmarks without `--bench`: then see only that all of it works.
    fn smoke() -> Self {
        Self {
            rounds: 1,
            length: Duration::from_millis(100),
            warm_up: Duration::from_millis(50),
            settle: Duration::from_millis(50),
            idle: 50,
            ..Self::standard()
        }
    }

    pub(crate) fn wants_load(&self, name: &str) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|wanted| wanted == name)
    }

    pub(crate) fn wants_server(&self, server: &Server, load: &Load) -> bool {
        if !server.speaks.contains(&load.protocol()) {
            return false;
        }
        match self.servers.as_slice() {
            [] => self.wants_load(load.name) && server.only.is_none_or(|only| only == load.name),
            wanted => wanted.iter().any(|name| name == server.name),
        }
    }

    /// The servers to compare: those asked for, else all that can run here.
    pub(crate) fn available(&self) -> Vec<&'static Server> {
        static ALL: [Server; SERVERS.len()] = SERVERS;
        ALL.iter()
            .filter(|server| match server.program {
                Program::Own(_) => true,
                // Asked for and not there: let the first measurement say so.
                Program::Named { variable } => {
                    !self.servers.is_empty() || std::env::var_os(variable).is_some()
                }
            })
            .filter(|server| LOADS.iter().any(|load| self.wants_server(server, load)))
            .collect()
    }
}

pub(crate) fn from_args(args: impl IntoIterator<Item = String>) -> Result<Task> {
    let mut args: Vec<String> = args.into_iter().collect();
    if let [serve, server, protocol] = args.as_slice()
        && serve == "--serve"
    {
        return Ok(Task::Serve { server: server.clone(), protocol: protocol.parse()? });
    }
    let given = args.len();
    args.retain(|arg| arg != "--bench");
    let mut options = if args.len() < given { Options::standard() } else { Options::smoke() };
    let mut args = args.into_iter();
    while let Some(name) = args.next() {
        if matches!(name.as_str(), "--help" | "-h") {
            return Ok(Task::Help);
        }
        let value = args.next().ok_or_else(|| format!("{name} is unknown or lacks its value\n{HELP}"))?;
        match name.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.length = Duration::try_from_secs_f64(value.parse()?)?,
            "--settle" => options.settle = Duration::try_from_secs_f64(value.parse()?)?,
            "--idle" => options.idle = value.parse()?,
            "--only" => options.loads = names(&value, &LOADS.map(|load| load.name))?,
            "--servers" => options.servers = names(&value, &SERVERS.map(|server| server.name))?,
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
    Ok(Task::Compare(options))
}

fn names(list: &str, known: &[&str]) -> Result<Vec<String>> {
    list.split(',')
        .map(|name| {
            let is_known = known.contains(&name);
            is_known
                .then(|| name.to_owned())
                .ok_or_else(|| format!("{name} is not one of {}", known.join(", ")).into())
        })
        .collect()
}
