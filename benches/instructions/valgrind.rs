//! A server under callgrind, and what it counted.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::Result;
use crate::common::parent::ServerProcess;
use crate::modes::Mode;

/// Where the profiles are, for `callgrind_annotate`. Cargo makes it.
pub(crate) const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

pub(crate) fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// All instructions of one life of the server.
pub(crate) async fn count(server: &str, mode: &Mode, turns: u32) -> Result<u64> {
    let file = |kind: &str| Path::new(FOLDER).join(format!("{server}-{}.{kind}", mode.name));
    let (profile, log) = (file("callgrind"), file("log"));
    let mut command = Command::new("valgrind");
    command
        .arg("--quiet")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args(["--serve", server, mode.protocol().name()])
        .stderr(File::create(&log)?);
    let mut process = ServerProcess::start(&mut command)?;
    mode.run(process.address, turns).await?;
    // It ends when its input does, and valgrind writes what it counted.
    drop(process.child.stdin.take());
    let status = process.child.wait()?;
    if !status.success() {
        return Err(format!("valgrind ended with {status}, see {}", log.display()).into());
    }
    let profile = std::fs::read_to_string(&profile)?;
    let totals = profile.lines().rev().find_map(|line| line.strip_prefix("totals:"));
    Ok(totals.ok_or("the profile has no total")?.trim().parse()?)
}
