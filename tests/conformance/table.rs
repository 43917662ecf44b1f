//! A recording, case by case, against a table of what differs, and how.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::recording::{Case, are_others, cases};

/// A row: recorded cases that come out otherwise here, in one way.
pub(crate) struct Difference {
    /// A row of docs/STRICTNESS.md, or why in a few words.
    reason: &'static str,
    /// How many of the recorded cases this is the row for.
    count: usize,
    /// Their ids; a `*` stands for any text.
    ids: &'static str,
    /// What else must hold of them.
    when: fn(&Case) -> bool,
    how: How,
    /// Some of the cases may agree, as time falls.
    at_most: bool,
}

/// How the cases of a row come out here.
pub(crate) enum How {
    /// They do not: nothing here can be told to do what they ask for.
    Unsaid,
    /// As this text, in which each `*` stands for any text.
    Like(&'static str),
    /// So that this holds of it.
    Such(fn(&Case, &Value) -> bool),
}

/// A row for the cases of which `when` holds.
pub(crate) const fn rule(
    reason: &'static str,
    count: usize,
    when: fn(&Case) -> bool,
    how: How,
) -> Difference {
    Difference { reason, count, ids: "*", when, how, at_most: false }
}

/// A row for the cases with such ids.
pub(crate) const fn row(ids: &'static str, count: usize, reason: &'static str, how: How) -> Difference {
    Difference { reason, count, ids, when: |_| true, how, at_most: false }
}

impl Difference {
    pub(crate) const fn at_most(mut self) -> Self {
        self.at_most = true;
        self
    }

    fn covers(&self, case: &Case) -> bool {
        is_like(self.ids, &case.id) && (self.when)(case)
    }

    fn is_how(&self, case: &Case, here: Option<&Value>) -> bool {
        match (&self.how, here) {
            (How::Unsaid, None) => true,
            (How::Like(pattern), Some(here)) => is_like(pattern, &text(here)),
            (How::Such(holds), Some(here)) => holds(case, here),
            _ => false,
        }
    }
}

/// How a case came out, where that is not what was recorded.
#[derive(Debug)]
pub(crate) struct Different {
    /// In words.
    what: String,
    /// `None`: it could not be said.
    here: Option<Value>,
}

pub(crate) type Outcome = Result<(), Different>;

impl Different {
    pub(crate) fn new(what: impl Into<String>, here: impl Into<Value>) -> Self {
        Self { what: what.into(), here: Some(here.into()) }
    }
}

/// What cannot be said here.
impl From<String> for Different {
    fn from(what: String) -> Self {
        Self { what, here: None }
    }
}

impl From<&str> for Different {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// What was refused at set-up.
impl From<kestrel_rs::Error> for Different {
    fn from(error: kestrel_rs::Error) -> Self {
        Self::new("refused at set-up", format!("refused: {error}"))
    }
}

/// Whether a case agrees; if not, `here` is what is there instead.
pub(crate) fn check<V: Into<Value>>(agrees: bool, here: impl FnOnce() -> V) -> Outcome {
    if agrees { Ok(()) } else { Err(Different::new("", here())) }
}

/// Replays every case of a recording.
pub(crate) async fn replay_all(
    file: &'static str,
    table: &'static [Difference],
    replay: impl AsyncFn(&Case) -> Outcome,
) {
    let mut report = Report::new(file, table);
    for case in cases(file) {
        let outcome = replay(&case).await;
        report.note(&case, outcome);
    }
    report.finish();
}

/// What of one recording agrees, and what does not.
pub(crate) struct Report {
    file: &'static str,
    table: &'static [Difference],
    agree: usize,
    /// For each row.
    covered: Vec<usize>,
    /// Ids, and what differs.
    wrong: Vec<(String, String)>,
    counted: bool,
}

impl Report {
    pub(crate) fn new(file: &'static str, table: &'static [Difference]) -> Self {
        Self {
            file,
            table,
            agree: 0,
            covered: vec![0; table.len()],
            wrong: Vec::new(),
            counted: !are_others(),
        }
    }

    /// What is judged is not kestrel-rs as this checkout has it: the numbers of the table are not its numbers.
    pub(crate) fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }

    /// Notes how a case came out.
    pub(crate) fn note(&mut self, case: &Case, outcome: Outcome) {
        let Err(Different { what, here }) = outcome else {
            self.agree += 1;
            return;
        };
        let here = here.as_ref();
        let mut rows = self.table.iter().enumerate().filter(|(_, row)| row.covers(case)).peekable();
        let first = rows.peek().map(|(_, row)| row.reason);
        if let Some((row, _)) = rows.find(|(_, row)| row.is_how(case, here)) {
            self.covered[row] += 1;
            return;
        }
        let mut words = what;
        if let Some(here) = here {
            _ = write!(words, "{}here {}", if words.is_empty() { "" } else { ", " }, text(here));
        }
        if let Some(reason) = first {
            _ = write!(words, "; that is not how the row differs: {reason}");
        }
        self.wrong.push((case.id.clone(), words));
    }

    /// Prints the rows of the table that were needed, and fails where it does not fit.
    pub(crate) fn finish(self) {
        let all = self.agree + self.covered.iter().sum::<usize>() + self.wrong.len();
        eprintln!("{}: {} of {all} agree", self.file, self.agree);
        let mut complaint = String::new();
        for (row, &covered) in self.table.iter().zip(&self.covered) {
            eprintln!("  {covered:4}  {:40} {}", row.ids, row.reason);
            let fits = covered == row.count || row.at_most && covered < row.count;
            if self.counted && !fits {
                let Difference { ids, reason, count, .. } = row;
                _ = writeln!(complaint, "the row {ids} ({reason}) says {count} cases and covers {covered}");
            }
        }
        if !self.wrong.is_empty() {
            _ = writeln!(complaint, "{} differences without a row:", self.wrong.len());
            complaint += &summary(&self.wrong);
        }
        assert!(complaint.is_empty(), "{}:\n{complaint}", self.file);
    }
}

/// Differences by group, the first few of each in full: thousands would say less.
fn summary(wrong: &[(String, String)]) -> String {
    let shown = std::env::var_os("KESTREL_SHOW_ALL").map_or(5, |_| usize::MAX);
    let mut groups: BTreeMap<&str, Vec<(&String, &String)>> = BTreeMap::new();
    for (id, what) in wrong {
        let group = id.rsplit_once('.').map_or("", |(group, _)| group);
        groups.entry(group).or_default().push((id, what));
    }
    let mut text = String::new();
    for (group, cases) in groups {
        _ = writeln!(text, "{group}.*: {}", cases.len());
        for (id, what) in cases.iter().take(shown) {
            _ = writeln!(text, "    {id}: {what}");
        }
    }
    text
}

fn text(here: &Value) -> String {
    here.as_str().map_or_else(|| here.to_string(), str::to_owned)
}

/// Whether `text` is of the form of `pattern`, in which each `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::How::{Like, Such, Unsaid};
    use super::{Difference, Different, Outcome, Report, is_like, row, rule};
    use crate::recording::Case;

    const TABLE: &[Difference] = &[
        row("status.*", 1, "a status of its own", Like("40* closed")),
        rule("what nobody can say", 1, |case| case.input == "unsaid", Unsaid),
        rule("its own body", 1, |case| case.input == "body", Such(|case, here| here["body"] == case.output)),
    ];

    fn report(cases: impl IntoIterator<Item = (&'static str, Value, Outcome)>) {
        let mut report = Report::new("facts/none.json", TABLE);
        report.counted = true;
        for (id, input, outcome) in cases {
            let case = Case { id: id.to_owned(), input, output: json!("own") };
            report.note(&case, outcome);
        }
        report.finish();
    }

    fn as_the_rows_say() -> [(&'static str, Value, Outcome); 3] {
        [
            ("status.bad", json!(null), Err(Different::new("", "400 closed"))),
            ("a", json!("unsaid"), Err("no such option".into())),
            ("b", json!("body"), Err(Different::new("", json!({ "body": "own" })))),
        ]
    }

    #[test]
    fn cases_that_differ_as_their_rows_say_pass() {
        report(as_the_rows_say().into_iter().chain([("agrees", json!(null), Ok(()))]));
    }

    #[test]
    #[should_panic(
        expected = "status.bad: here 500 closed; that is not how the row differs: a status of its own"
    )]
    fn one_that_differs_in_another_way_fails() {
        let [_, unsaid, body] = as_the_rows_say();
        report([("status.bad", json!(null), Err(Different::new("", "500 closed"))), unsaid, body]);
    }

    #[test]
    #[should_panic(expected = "b: not replayed; that is not how the row differs: its own body")]
    fn one_that_is_not_said_where_its_row_says_how_fails() {
        let [status, unsaid, _] = as_the_rows_say();
        report([status, unsaid, ("b", json!("body"), Err("not replayed".into()))]);
    }

    #[test]
    #[should_panic(expected = "c: here lost")]
    fn one_without_a_row_fails() {
        report(as_the_rows_say().into_iter().chain([("c", json!(null), Err(Different::new("", "lost")))]));
    }

    #[test]
    #[should_panic(expected = "the row status.* (a status of its own) says 1 cases and covers 0")]
    fn a_row_that_is_not_needed_any_more_fails() {
        let [_, unsaid, body] = as_the_rows_say();
        report([("status.bad", json!(null), Ok(())), unsaid, body]);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, holds) in [
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("*", "", true),
            ("abc", "abcd", false),
            ("*b*", "abc", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(is_like(pattern, text), holds, "{pattern} {text}");
        }
    }
}
