//! The recordings, and the report on what differs from them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::differences::{DIFFERENCES, Difference};
use crate::how;

/// A recording. One that is missing fails its test; other recordings than ours need not have all of them, and what they
/// lack is skipped with a message.
pub(crate) fn recording(file: &str) -> Option<Value> {
    let path = folder().join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            assert!(std::env::var_os(REFERENCE).is_some(), "{}: {error}", path.display());
            eprintln!("skipped: {}: {error}", path.display());
            return None;
        }
    };
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The cases `{id, input, output}` of a recording whose id begins with one of `groups`.
pub(crate) fn cases(file: &str, groups: &[&str]) -> Option<Vec<Case>> {
    let Some(Value::Array(all)) = recording(file) else { return None };
    let cases = all.into_iter().filter_map(|mut case| {
        let id = case["id"].as_str()?.to_owned();
        let wanted = groups.iter().any(|group| id.starts_with(group));
        wanted.then(|| Case { id, input: case["input"].take(), output: case["output"].take() })
    });
    Some(cases.collect())
}

/// One recorded case.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

impl Case {
    pub(crate) fn status(&self) -> u16 {
        self.output["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or_default()
    }
}

/// The octets of recorded text: one for each character, and `{before, text, times, after}` written out.
pub(crate) fn octets(text: &Value) -> Vec<u8> {
    if let Some(text) = text.as_str() {
        return latin1(text);
    }
    let part = |name: &str| text[name].as_str().map(latin1).unwrap_or_default();
    let times = text["times"].as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or(1);
    [part("before"), part("text").repeat(times), part("after")].concat()
}

/// Latin-1 text to octets.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("recorded octets are Latin-1")).collect()
}

/// Octets to Latin-1 text.
pub(crate) fn from_latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// What of one recording agrees, and what does not.
pub(crate) struct Report {
    file: &'static str,
    /// The ids that were judged begin with one of these.
    groups: &'static [&'static str],
    agree: usize,
    /// Id, input, and what differs.
    differ: Vec<(String, Value, String)>,
    /// Whether every row of the table has to cover as many cases as it says.
    counted: bool,
}

impl Report {
    /// `elsewhere`: what is judged is not kestrel-rs as this checkout has it, so that the numbers of the
    /// table are not its numbers.
    pub(crate) fn new(file: &'static str, groups: &'static [&'static str], elsewhere: Elsewhere) -> Self {
        let counted = elsewhere == Elsewhere::No && std::env::var_os(REFERENCE).is_none();
        Self { file, groups, agree: 0, differ: Vec::new(), counted }
    }

    /// Notes how a case came out: `Err` says what was recorded and what is.
    pub(crate) fn note(&mut self, id: impl Into<String>, input: Value, result: Result<(), String>) {
        match result {
            Ok(()) => self.agree += 1,
            Err(what) => self.differ.push((id.into(), input, what)),
        }
    }

    /// Prints the rows of the table that were needed, and fails where it does not fit.
    pub(crate) fn finish(self) {
        let rows: Vec<&Difference> = DIFFERENCES
            .iter()
            .filter(|row| row.recording == self.file)
            .filter(|row| {
                let fixed = row.cases.split('*').next().unwrap_or_default();
                fixed.is_empty() || self.groups.iter().any(|group| fixed.starts_with(group))
            })
            .collect();
        let mut covered = vec![0; rows.len()];
        let mut wrong = Vec::new();
        for (id, input, what) in &self.differ {
            match rows.iter().position(|row| row.covers(id, input, what)) {
                Some(row) => {
                    covered[row] += 1;
                    if !self.counted {
                        eprintln!("  covered: {id}: {what}");
                    }
                }
                None => wrong.push((id, what)),
            }
        }

        let all = self.agree + self.differ.len();
        eprintln!("{} ({}): {} of {all} agree", self.file, self.groups.join(", "), self.agree);
        for (row, covered) in rows.iter().zip(&covered) {
            eprintln!("  {covered:4}  {:40} {}", row.cases, row.reason);
        }

        let mut complaint = String::new();
        for (row, &covered) in rows.iter().zip(&covered) {
            let fits = covered == row.count || row.at_most && covered < row.count;
            if self.counted && !fits {
                let Difference { cases, count, .. } = row;
                _ = writeln!(complaint, "the row {cases} says {count} cases and covers {covered}");
            }
        }
        if !wrong.is_empty() {
            _ = writeln!(complaint, "{} differences without a row:", wrong.len());
            complaint += &summary(&wrong);
        }
        assert!(complaint.is_empty(), "{}:\n{complaint}", self.file);
        if self.counted {
            let differ = self.differ.iter().filter(|(id, input, what)| {
                let row = rows.iter().find(|row| row.covers(id, input, what));
                !row.is_some_and(|row| row.says_how())
            });
            let file = match self.groups {
                [""] => self.file.to_owned(),
                groups => format!("{}.{}", self.file, groups.join("").trim_end_matches('.')),
            };
            how::check(&file, differ.map(|(id, _, what)| (id.as_str(), what.as_str())));
        }
    }
}

/// Whether the server under test is another one than this checkout's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Yes,
    No,
}

/// Differences by group, the first few of each in full: thousands would say less.
fn summary(wrong: &[(&String, &String)]) -> String {
    const SHOWN: usize = 5;
    let mut groups: BTreeMap<&str, Vec<(&String, &String)>> = BTreeMap::new();
    for &(id, what) in wrong {
        let group = id.rsplit_once('.').map_or("", |(group, _)| group);
        groups.entry(group).or_default().push((id, what));
    }
    let mut text = String::new();
    for (group, cases) in groups {
        _ = writeln!(text, "{group}.*: {}", cases.len());
        for (id, what) in cases.iter().take(SHOWN) {
            _ = writeln!(text, "    {id}: {what}");
        }
    }
    text
}

pub(crate) fn folder() -> PathBuf {
    std::env::var_os(REFERENCE)
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference")), PathBuf::from)
}

const REFERENCE: &str = "KESTREL_REFERENCE";
