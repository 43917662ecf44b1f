//! How each case comes out that a row of a table covers: kept in a file beside this one, a line a case, so that an answer
//! that changes fails its test though it differed before.
//!
//! `KESTREL_BLESS=1 cargo test --all-features --test conformance` writes the files anew; what it changed is for a person
//! to read.

use std::fmt::Write as _;
use std::path::Path;

/// `Sun, 06 Nov 1994 08:49:37 GMT` is `DATE`, as in the recordings.
fn without_dates(text: &str) -> String {
    const LENGTH: usize = 29;
    let mut without = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(" GMT") {
        let (date, behind) = rest.split_at(at + " GMT".len());
        without += date.len().checked_sub(LENGTH).and_then(|start| date.get(..start)).unwrap_or_default();
        without += "DATE";
        rest = behind;
    }
    without + rest
}

/// Of the recording `file`: ids and what is said of them.
pub(crate) fn check<'a>(file: &str, differences: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut lines: Vec<String> = differences
        .map(|(id, what)| {
            format!("{id}: {}", without_dates(what).escape_debug().to_string().replace("\\\"", "\""))
        })
        .collect();
    lines.sort();
    if lines.is_empty() {
        return;
    }
    let name = file.replace(".json", "").replace('/', ".") + ".txt";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/how").join(name);
    let found = lines.join("\n") + "\n";
    if std::env::var_os("KESTREL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let known: Vec<&str> = known.lines().collect();
    let mut complaint = String::new();
    for line in known.iter().filter(|line| !lines.iter().any(|found| found == *line)) {
        _ = writeln!(complaint, "- {line}");
    }
    for line in lines.iter().filter(|line| !known.contains(&line.as_str())) {
        _ = writeln!(complaint, "+ {line}");
    }
    let shown: String = complaint.lines().take(20).flat_map(|line| [line, "\n"]).collect();
    assert!(
        complaint.is_empty(),
        "{}: cases differ in another way than they did (KESTREL_BLESS=1 writes it anew):\n{shown}",
        path.display()
    );
}
