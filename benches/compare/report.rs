//! Tables: the median of the rounds, and how far the rounds lie apart.

use std::fmt::Write as _;

use crate::loads::{Bound, Figure, Goal, Load, Measured, Work};
use crate::options::Options;
use crate::servers::Server;

/// The server that the goals are for.
const OURS: &str = "kestrel";

impl Figure {
    fn title(self) -> &'static str {
        match self {
            Self::Requests => "requests/s",
            Self::Cpu => "CPU us/request",
            Self::Memory => "memory MiB",
            Self::ClientBusy => "client busy %",
            Self::IdleFresh => "fresh KiB",
            Self::IdleUsed => "used KiB",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Requests | Self::ClientBusy => format!("{value:.0}"),
            Self::Cpu => format!("{value:.2}"),
            Self::Memory | Self::IdleFresh | Self::IdleUsed => format!("{value:.1}"),
        }
    }

    /// The client's own figure says how far to trust the others, and nothing about a server.
    fn is_compared(self) -> bool {
        self != Self::ClientBusy
    }
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    fn show(self) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {bound:.2}"),
            Self::AtMost(bound) => format!("<= {bound:.2}"),
        }
    }
}

/// Every round of every server, in the order of the servers.
#[derive(Debug)]
pub(crate) struct Results(Vec<(&'static str, Vec<Measured>)>);

impl Results {
    pub(crate) fn new(servers: &[&'static Server]) -> Self {
        Self(servers.iter().map(|server| (server.name, Vec::new())).collect())
    }

    pub(crate) fn add(&mut self, server: &Server, measured: Measured) {
        if let Some((_, rounds)) = self.0.iter_mut().find(|(name, _)| *name == server.name) {
            rounds.push(measured);
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|(name, _)| *name)
    }

    fn figures(&self) -> Vec<Figure> {
        let first = self.0.first().and_then(|(_, rounds)| rounds.first());
        first.into_iter().flatten().map(|(figure, _)| *figure).collect()
    }

    fn rounds(&self, server: &str, figure: Figure) -> Vec<f64> {
        let rounds = self.0.iter().find(|(name, _)| *name == server).map(|(_, rounds)| rounds);
        let values = rounds.into_iter().flatten().flatten();
        values.filter(|(measured, _)| *measured == figure).map(|(_, value)| *value).collect()
    }

    /// Round by round, so that a slow moment of the machine touches both sides; then the median.
    fn spread(&self, server: &str, figure: Figure, against: Option<&str>) -> Option<Spread> {
        let mut values = self.rounds(server, figure);
        if let Some(against) = against {
            let others = self.rounds(against, figure);
            if others.len() != values.len() {
                return None;
            }
            values.iter_mut().zip(others).for_each(|(value, other)| *value /= other);
        }
        Spread::of(values)
    }
}

struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { min, median: f64::midpoint(low, high), max })
    }
}

pub(crate) fn heading(options: &Options, servers: &[&'static Server]) -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!(
        "{} rounds of {:.1} s on {processors} processors{}; medians of the rounds\n",
        options.rounds,
        options.length.as_secs_f64(),
        options.server_cpus.as_ref().map_or_else(String::new, |cpus| format!(", the servers on {cpus}")),
    );
    for server in servers {
        let _ = writeln!(text, "  {:<14}{}", server.name, server.about);
    }
    text
}

pub(crate) fn table(load: &Load, results: &Results, options: &Options) -> String {
    let mut text = format!("== {}: {}\n", load.name, load.about);
    if let Work::Idle | Work::TlsIdle = load.work {
        let _ =
            writeln!(text, "   {} connections, {:.0} s later", options.idle, options.settle.as_secs_f64());
    }
    absolute_rows(&mut text, results);
    ratio_rows(&mut text, results);
    for goal in load.goals {
        goal_row(&mut text, goal, results);
    }
    text
}

fn absolute_rows(text: &mut String, results: &Results) {
    let figures = results.figures();
    let _ = write!(text, "{:<24}", "");
    for figure in &figures {
        let _ = write!(text, "{:>24}", figure.title());
    }
    text.push('\n');
    for name in results.names() {
        let _ = write!(text, "{name:<24}");
        for figure in &figures {
            let shown = results.spread(name, *figure, None).map(|spread| figure.show(spread.median));
            let _ = write!(text, "{:>24}", shown.unwrap_or_default());
        }
        text.push('\n');
    }
}

/// The first server, which is ours unless it was not asked for, against each of the others.
fn ratio_rows(text: &mut String, results: &Results) {
    let figures = results.figures();
    let Some(first) = results.names().next() else { return };
    for other in results.names().skip(1) {
        let _ = write!(text, "{:<24}", format!("{first} / {other}"));
        for figure in figures.iter().filter(|figure| figure.is_compared()) {
            let shown = results
                .spread(first, *figure, Some(other))
                .map(|spread| format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max));
            let _ = write!(text, "{:>24}", shown.unwrap_or_default());
        }
        text.push('\n');
    }
}

fn goal_row(text: &mut String, goal: &Goal, results: &Results) {
    let against = goal.against.map_or_else(String::new, |against| format!(" / {against}"));
    let reached = match results.spread(OURS, goal.figure, goal.against) {
        Some(spread) if goal.bound.is_met(spread.median) => format!("{:.2}, met", spread.median),
        Some(spread) => format!("{:.2}, MISSED", spread.median),
        None => "not measured".to_owned(),
    };
    let _ = writeln!(text, "goal: {OURS}{against}, {} {}: {reached}", goal.figure.title(), goal.bound.show());
}
