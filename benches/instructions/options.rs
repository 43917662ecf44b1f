//! What the command line asks for.

use crate::common::Result;
use crate::common::arguments::{Extent, names};
use crate::modes::{MODES, Mode};

pub(crate) const HELP: &str = "\
cargo bench --bench instructions -- [OPTIONS]
  --only A,B        these modes: wrk, curl, browser, varied, post, post-chunked,
                    tiny-chunks, upload, download, pipelined-4, pipelined-16, http2,
                    http2-single
  --servers A,B     these servers, the first against the others (kestrel,axum-nodelay,hyper)
  --turns N         length of the shorter run; the longer is six times as long";

pub(crate) struct Options {
    modes: Vec<String>,
    /// Never empty.
    pub(crate) servers: Vec<String>,
    turns: Option<u32>,
}

impl Options {
    fn new(extent: Extent) -> Self {
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match extent {
            Extent::Whole => {
                Self { modes: Vec::new(), servers: of(&["kestrel", "axum-nodelay", "hyper"]), turns: None }
            }
            Extent::Smoke => Self { modes: of(&["curl"]), servers: of(&["kestrel"]), turns: Some(1) },
        }
    }

    pub(crate) fn wants(&self, mode: &str) -> bool {
        self.modes.is_empty() || self.modes.iter().any(|wanted| wanted == mode)
    }

    pub(crate) fn turns(&self, mode: &Mode) -> u32 {
        self.turns.unwrap_or(mode.turns)
    }
}

pub(crate) fn read(extent: Extent, mut args: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::new(extent);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} is unknown or lacks its value\n{HELP}"))?;
        match name.as_str() {
            "--only" => options.modes = names(&value, &MODES.map(|mode| mode.name))?,
            "--servers" => options.servers = names(&value, &SERVERS)?,
            "--turns" => options.turns = Some(value.parse()?),
            _ => return Err(format!("{name} is unknown\n{HELP}").into()),
        }
    }
    if options.turns == Some(0) {
        return Err("nothing to count: --turns must be above 0".into());
    }
    Ok(options)
}

const SERVERS: [&str; 4] = ["kestrel", "axum", "axum-nodelay", "hyper"];
