//! Whole servers beside each other: `kestrel-rs`, bare `axum::serve`, hyper driven directly, for TLS `axum-server`
//! and, if you want or have them, those of other frameworks and the real Kestrel, under the same load, on the same
//! machine, in one run, round by round.
//!
//! `../README.md` says how to run it and how to read what it prints.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]

#[path = "../common/mod.rs"]
mod common;
mod http1;
mod loads;
mod measure;
mod options;
mod process;
mod progress;
mod report;
mod servers;
mod tls;

use crate::common::Result;
use crate::common::arguments::Task;
use crate::common::child::end_with_parent;
use crate::loads::{LOADS, Load};
use crate::options::Options;
use crate::report::Results;
use crate::servers::{Program, Server};

fn main() -> Result<()> {
    match Task::from_args(std::env::args().skip(1), options::read)? {
        Task::Help => {
            println!("{}", options::HELP);
            Ok(())
        }
        Task::Serve { server, protocol } => {
            end_with_parent();
            // As `#[tokio::main]` makes it.
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(common::servers::serve(&server, protocol)?)
        }
        Task::Measure(_) if !process::can_measure() => {
            println!("nothing compared: CPU time and memory are read from Linux's /proc");
            Ok(())
        }
        Task::Measure(options) => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(compare(&options))
        }
    }
}

async fn compare(options: &Options) -> Result<()> {
    let servers = options.available();
    if servers.iter().any(|server| matches!(server.program, Program::Peer)) {
        process::build_peers()?;
    }
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
    let mut kept: Vec<_> = servers.iter().map(|_| None).collect();
    for round in 1..=load.rounds(options) {
        for (server, kept) in servers.iter().zip(&mut kept) {
            let measured = load
                .measure(server, kept, options)
                .await
                .map_err(|error| format!("{}, {}, round {round}: {error}", load.name, server.name))?;
            results.add(server, measured);
        }
    }
    Ok(results)
}
