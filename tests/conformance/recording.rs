//! A recording, case by case, against a table of differences.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Map, Value};

use crate::how;

/// What differs on purpose, or is not replayed: reason, how many of the recorded cases, which.
pub(crate) type Difference = (&'static str, usize, fn(&Case) -> bool);

pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

impl Case {
    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.id.split('.').next() == Some(group)
    }

    pub(crate) fn throws(&self) -> bool {
        !self.output["throws"].is_null()
    }

    pub(crate) fn options(&self) -> &Value {
        &self.input["options"]
    }
}

/// Replays every case of a file of the recording. A case that differs must be covered by the table, and the table's
/// numbers must be those that were found.
pub(crate) async fn replay_all(
    file: &str,
    differences: &[Difference],
    replay: impl AsyncFn(&Case) -> Result<(), String>,
) {
    let other = std::env::var_os("KESTREL_REFERENCE").map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let folder = other.as_deref().unwrap_or(&here);
    let files = [folder.join("facts").join(file), folder.join(file)];
    let Some(text) = files.iter().find_map(|file| std::fs::read_to_string(file).ok()) else {
        assert!(other.is_some(), "{} is missing", files[0].display());
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();

    let mut found = vec![0; differences.len()];
    let mut wrong = String::new();
    let mut covered = Vec::new();
    for case in cases {
        let id = case["id"].as_str().unwrap().to_owned();
        let case = Case { id, input: case["input"].clone(), output: case["output"].clone() };
        let row = differences.iter().position(|(_, _, covers)| covers(&case));
        match (replay(&case).await, row) {
            (Err(difference), Some(row)) => {
                found[row] += 1;
                covered.push((case.id, difference));
            }
            (Err(difference), None) => writeln!(wrong, "{} {}: {difference}", case.id, case.input).unwrap(),
            (Ok(()), _) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    if other.is_none() {
        let expected: Vec<_> = differences.iter().map(|(_, count, _)| *count).collect();
        assert_eq!(found, expected, "the numbers of cases in the table");
        how::check(file, covered.iter().map(|(id, what)| (id.as_str(), what.as_str())));
    }
}

pub(crate) fn check(holds: bool, else_say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_say()) }
}

/// The strings of a list; none if it is absent.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Adds a header; an error if `http` cannot hold it.
pub(crate) fn add_header<B>(request: &mut Request<B>, name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
    request.headers_mut().append(name, value);
    Ok(())
}

/// Adds the `host`, which may be absent, one line or several, and the `headers` of a case.
pub(crate) fn add_headers<B>(request: &mut Request<B>, input: &Value) -> Result<(), String> {
    match &input["host"] {
        Value::String(host) => add_header(request, "host", host)?,
        hosts => strings(hosts).iter().try_for_each(|host| add_header(request, "host", host))?,
    }
    for header in input["headers"].as_array().into_iter().flatten() {
        add_header(request, header[0].as_str().unwrap(), header[1].as_str().unwrap())?;
    }
    Ok(())
}

/// Headers as the recording has them: a list of lines each.
pub(crate) fn described(headers: &HeaderMap) -> Value {
    let lines = |name: &HeaderName| {
        let lines =
            headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned());
        (name.to_string(), lines.collect::<Vec<_>>().into())
    };
    Value::Object(headers.keys().map(lines).collect::<Map<_, _>>())
}
