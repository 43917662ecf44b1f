//! User instructions of a request, counted by callgrind: exact, where CPU time is too noisy to see a percent.
//!
//! Each server runs on one thread under valgrind and answers one connection, twice: `n` turns, and six times as many. The
//! difference is free of start and end.
//!
//! `../README.md` says how to run it and how to read what it prints.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::cast_precision_loss, reason = "counts of one run are far below 2^52")]

#[path = "../common/mod.rs"]
mod common;
mod modes;
mod options;
mod valgrind;

use std::fmt::Write as _;

use crate::common::Result;
use crate::common::arguments::Task;
use crate::common::child::end_with_parent;
use crate::modes::{MODES, Mode};
use crate::options::Options;

/// The longer run is so many times the shorter.
const LONGER: u32 = 6;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Task::from_args(std::env::args().skip(1), options::read)? {
        Task::Help => println!("{}", options::HELP),
        Task::Serve { server, protocol } => {
            end_with_parent();
            runtime.block_on(common::servers::serve(&server, protocol)?)?;
        }
        Task::Measure(_) if !valgrind::is_there() => {
            println!("nothing counted: valgrind is missing (Debian's package is valgrind)");
        }
        Task::Measure(options) => runtime.block_on(count(&options))?,
    }
    Ok(())
}

async fn count(options: &Options) -> Result<()> {
    println!("user instructions a request; profiles are in {}\n", valgrind::FOLDER);
    println!("{}", heading(&options.servers));
    for mode in MODES.iter().filter(|mode| options.wants(mode.name)) {
        let mut counts = Vec::new();
        for server in &options.servers {
            let count = a_request(server, mode, options.turns(mode)).await;
            counts.push(count.map_err(|error| format!("{}, {server}: {error}", mode.name))?);
        }
        println!("{}", row(mode.name, &counts));
    }
    Ok(())
}

async fn a_request(server: &str, mode: &Mode, turns: u32) -> Result<f64> {
    let short = valgrind::count(server, mode, turns).await?;
    let long = valgrind::count(server, mode, turns * LONGER).await?;
    let requests = u64::from(turns) * u64::from(LONGER - 1) * mode.requests_a_turn();
    Ok(long.saturating_sub(short) as f64 / requests as f64)
}

/// The servers, and the first against each of the others.
fn heading(servers: &[String]) -> String {
    let mut text = format!("{:<16}", "");
    for server in servers {
        let _ = write!(text, "{server:>14}");
    }
    for other in &servers[1..] {
        let _ = write!(text, "{:>26}", format!("{} / {other}", servers[0]));
    }
    text
}

fn row(mode: &str, counts: &[f64]) -> String {
    let mut text = format!("{mode:<16}");
    for count in counts {
        let _ = write!(text, "{count:>14.0}");
    }
    for other in &counts[1..] {
        let _ = write!(text, "{:>26.2}", counts[0] / other);
    }
    text
}
