//! What the command lines of the benchmarks have in common.

use super::Result;
use super::protocol::Protocol;

/// One process of a benchmark: the one that measures, or one of those that it measures.
pub(crate) enum Task<Options> {
    Help,
    Serve { server: String, protocol: Protocol },
    Measure(Options),
}

/// `cargo test --all-targets` runs benchmarks without `--bench`: then see only that all of it works.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Smoke,
}

impl<Options> Task<Options> {
    /// The task that `args` name, with the options as `read` takes them from what is left.
    pub(crate) fn from_args(
        args: impl IntoIterator<Item = String>,
        read: impl FnOnce(Extent, std::vec::IntoIter<String>) -> Result<Options>,
    ) -> Result<Self> {
        let mut args: Vec<String> = args.into_iter().collect();
        if let [serve, server, protocol] = args.as_slice()
            && serve == "--serve"
        {
            return Ok(Self::Serve { server: server.clone(), protocol: protocol.parse()? });
        }
        if args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-h")) {
            return Ok(Self::Help);
        }
        let given = args.len();
        args.retain(|arg| arg != "--bench");
        let extent = if args.len() < given { Extent::Whole } else { Extent::Smoke };
        Ok(Self::Measure(read(extent, args.into_iter())?))
    }
}

/// A list with commas, of names that there are.
pub(crate) fn names(list: &str, known: &[&str]) -> Result<Vec<String>> {
    list.split(',')
        .map(|name| {
            let is_known = known.contains(&name);
            is_known
                .then(|| name.to_owned())
                .ok_or_else(|| format!("{name} is not one of {}", known.join(", ")).into())
        })
        .collect()
}
