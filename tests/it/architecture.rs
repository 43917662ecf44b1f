//! The rules that ARCHITECTURE.md states, held to the source: stages use lower stages only, files
//! stay readable and say what they are, and log events have one place.

mod uses;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use uses::Uses;

/// The stages, lowest first. A file may use the stages before its own, and its own.
#[rustfmt::skip]
const STAGES: &[&str] = &[
    "error", "protocols", "limits", "text", "telemetry", "transport", "connection", "tls", "request", "http",
    "listener", "server", "config", "test",
];

/// The parts of a layer, whose `mod.rs` says what it is.
const PARTS: [&str; 4] = ["layer.rs", "service.rs", "future.rs", "body.rs"];

/// Lines of a file that are neither test, comment nor blank.
const MOST_LINES: usize = 400;

struct Source {
    /// Relative to `src`.
    path: PathBuf,
    /// Without the unit tests at its end.
    text: String,
}

impl Source {
    /// The folder or file right below `src`.
    fn stage(&self) -> &str {
        let first = self.path.iter().next().unwrap().to_str().unwrap();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(i, line)| (i + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//") && !line.trim().is_empty())
    }
}

fn sources() -> Vec<Source> {
    let sources = sources_of("src");
    assert!(sources.len() > 20, "the source was not found");
    sources
}

fn sources_of(crate_folder: &str) -> Vec<Source> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(crate_folder);
    let mut folders = vec![src.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_test = name.ends_with("_tests") || name.starts_with("test_");
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !is_test {
                let mut text = std::fs::read_to_string(&path).unwrap();
                text.truncate(text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len()));
                sources.push(Source { path: path.strip_prefix(&src).unwrap().to_owned(), text });
            }
        }
    }
    sources
}

fn rank(stage: &str) -> Option<usize> {
    STAGES.iter().position(|name| *name == stage)
}

/// The first segments of the paths in `line` that begin at the root of the crate.
fn used(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").filter_map(|(at, prefix)| {
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|segment| !segment.is_empty())
    })
}

#[track_caller]
fn none(complaints: &str) {
    assert!(complaints.is_empty(), "see ARCHITECTURE.md:\n{complaints}");
}

#[test]
fn every_stage_uses_lower_stages_only() {
    let mut wrong = String::new();
    for source in sources() {
        let path = source.path.display();
        if matches!(source.stage(), "lib" | "_documentation") {
            continue;
        }
        let Some(own) = rank(source.stage()) else {
            _ = writeln!(wrong, "src/{path}: `{}` has no rank", source.stage());
            continue;
        };
        for (number, line) in source.code() {
            for stage in used(line) {
                // What the root exports (`crate::Limits`) may come from anywhere, so only tests use it.
                let exported = stage.starts_with(char::is_uppercase) && source.stage() == "test";
                let lower = rank(stage).is_some_and(|rank| rank <= own) || exported;
                if !lower {
                    _ = writeln!(wrong, "src/{path}:{number}: uses `crate::{stage}`");
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_path_from_the_root_names_one_stage() {
    // `use crate::{a, b}` would hide from the test above what it uses.
    let mut wrong = String::new();
    for source in sources() {
        for (number, line) in source.code().filter(|(_, line)| line.contains("crate::{")) {
            _ = writeln!(wrong, "src/{}:{number}: {}", source.path.display(), line.trim());
        }
    }
    none(&wrong);
}

#[test]
fn no_file_is_longer_than_one_can_read() {
    let mut wrong = String::new();
    for source in sources() {
        let lines = source.code().count();
        if lines > MOST_LINES {
            _ = writeln!(
                wrong,
                "src/{}: {lines} lines of code, more than {MOST_LINES}",
                source.path.display()
            );
        }
    }
    none(&wrong);
}

/// Who looks for a type finds one.
#[test]
fn the_name_of_a_type_is_unique() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for (number, line) in source.code() {
            // A type in an impl or a trait is an associated one.
            let own = line.trim_start();
            let own = own
                .strip_prefix("pub")
                .map_or(own, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
            let kinds: &[&str] = if line.starts_with(' ') {
                &["struct ", "enum "]
            } else {
                &["struct ", "enum ", "trait ", "type "]
            };
            if let Some(rest) = kinds.iter().find_map(|kind| own.strip_prefix(kind)) {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let place = format!("src/{}:{number}", source.path.display());
                places.entry(rest[..end].to_owned()).or_default().push(place);
            }
        }
    }
    let mut wrong = String::new();
    for (name, places) in places.iter().filter(|(_, places)| places.len() > 1) {
        _ = writeln!(wrong, "{name}: {}", places.join(", "));
    }
    none(&wrong);
}

#[test]
fn files_do_not_use_each_other_in_circles() {
    let mut wrong = String::new();
    for folder in [
        "src",
        "benches/common",
        "benches/compare",
        "benches/instructions",
        "benches/layers",
        "benches/peers/src",
        "examples/reference",
        "examples/reference_tls",
    ] {
        let sources = sources_of(folder);
        assert!(!sources.is_empty(), "{folder} was not found");
        for circle in Uses::of(&sources).circles() {
            _ = writeln!(wrong, "{folder}:");
            for (from, to) in circle {
                _ = writeln!(wrong, "    {from} uses {to}");
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_file_says_first_what_it_is() {
    let mut wrong = String::new();
    for source in sources() {
        let is_part = PARTS.iter().any(|part| source.path.ends_with(part));
        if !is_part && !source.text.starts_with("//! ") && source.path != Path::new("lib.rs") {
            _ = writeln!(wrong, "src/{}: does not begin with `//! `", source.path.display());
        }
    }
    none(&wrong);
}

#[test]
fn every_log_event_is_a_function_of_telemetry() {
    const MACROS: [&str; 6] = ["trace!", "debug!", "info!", "warn!", "error!", "event!"];
    let mut wrong = String::new();
    for source in sources().iter().filter(|source| source.path != Path::new("telemetry/events.rs")) {
        for (number, line) in source.code() {
            let is_event = MACROS.iter().any(|name| line.contains(&format!("tracing::{name}")))
                || line.trim_start().starts_with("use tracing");
            if is_event {
                _ = writeln!(wrong, "src/{}:{number}: {}", source.path.display(), line.trim());
            }
        }
    }
    none(&wrong);
}

/// A reason in one word, with hyphens, is the name of a row.
#[test]
fn every_row_of_strictness_that_a_test_names_is_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let rows = read("docs/STRICTNESS.md");
    let mut named = 0;
    let mut wrong = String::new();
    for line in read("tests/conformance/differences.rs").lines() {
        let Some(reason) = line.trim().strip_prefix("row(").and_then(|row| row.rsplit('"').nth(1)) else {
            continue;
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if reason.contains('-') && reason.chars().all(is_name) {
            named += 1;
            if !rows.contains(&format!("\n| {reason} |")) {
                _ = writeln!(wrong, "docs/STRICTNESS.md: has no row `{reason}`");
            }
        }
    }
    assert!(named > 0, "no row is named");
    none(&wrong);
}
