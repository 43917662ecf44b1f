//! Whole servers beside each other: `kestrel-rs`, bare `axum::serve`, hyper driven directly, for TLS `axum-server`
//! and, if you have it, the real Kestrel, under the same load, on the same machine, in one run, round by round.
//!
//! `../README.md` says how to run it and how to read what it prints.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]

mod http1;
mod http2;
mod loads;
mod measure;
mod options;
mod process;
mod progress;
mod protocol;
mod report;
mod servers;
mod tls;

use std::error::Error;

use crate::loads::{LOADS, Load};
use crate::options::{Options, Task};
use crate::report::Results;
use crate::servers::Server;

/// What goes wrong ends the run, with its message.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    match options::from_args(std::env::args().skip(1))? {
        Task::Help => {
            println!("{}", options::HELP);
            Ok(())
        }
        Task::Serve { server, protocol } => servers::serve(&server, protocol),
        Task::Compare(_) if !process::can_measure() => {
            println!("nothing compared: CPU time and memory are read from Linux's /proc");
            Ok(())
        }
        Task::Compare(options) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(compare(&options))
        }
    }
}

async fn compare(options: &Options) -> Result<()> {
    let servers = options.available();
    println!("{}", report::heading(options, &servers));
    for load in LOADS.iter().filter(|load| options.wants_load(load.name)) {
        let results = rounds(load, &servers, options).await?;
        println!("{}", report::table(load, &results, options));
    }
    Ok(())
}

/// Every server once a round, always in the same order: what disturbs the machine for a while disturbs all.
async fn rounds(load: &Load, servers: &[&'static Server], options: &Options) -> Result<Results> {
    let servers: Vec<_> =
        servers.iter().copied().filter(|server| options.wants_server(server, load)).collect();
    let mut results = Results::new(&servers);
    for round in 1..=load.rounds(options) {
        for server in &servers {
            let measured = load
                .measure(server, options)
                .await
                .map_err(|error| format!("{}, {}, round {round}: {error}", load.name, server.name))?;
            results.add(server, measured);
        }
    }
    Ok(results)
}
