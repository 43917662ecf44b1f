//! The recordings: their files, their cases, and the octets and headers that they write down as text.

use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use serde_json::{Map, Value};

/// One recorded case.
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

/// A recording. One that is missing fails its test; other recordings than ours need not have all of them, and what they
/// lack is skipped with a message.
pub(crate) fn recording(file: &str) -> Option<Value> {
    // Other recordings of facts may lie beside each other.
    let files = [folder().join(file), folder().join(file.rsplit('/').next().unwrap_or(file))];
    let Some(text) = files.iter().find_map(|file| std::fs::read_to_string(file).ok()) else {
        assert!(are_others(), "{} is missing", files[0].display());
        eprintln!("skipped: {} is missing", files[0].display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}")))
}

/// The cases `{id, input, output}` of a recording.
pub(crate) fn cases(file: &str) -> Vec<Case> {
    let all = recording(file).unwrap_or_default();
    let Value::Array(all) = all else {
        assert!(all.is_null(), "{file} is no list");
        return Vec::new();
    };
    { all }
        .into_iter()
        .map(|mut case| Case {
            id: case["id"].as_str().unwrap().to_owned(),
            input: case["input"].take(),
            output: case["output"].take(),
        })
        .collect()
}

/// Whether other recordings than this checkout's are replayed: a table has not counted their cases.
pub(crate) fn are_others() -> bool {
    std::env::var_os(REFERENCE).is_some()
}

pub(crate) fn folder() -> PathBuf {
    std::env::var_os(REFERENCE)
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference")), PathBuf::from)
}

const REFERENCE: &str = "KESTREL_REFERENCE";

/// The octets of recorded text, and of `{before, text, times, after}` written out.
pub(crate) fn octets(text: &Value) -> Vec<u8> {
    if let Some(text) = text.as_str() {
        return latin1(text);
    }
    let part = |name: &str| text[name].as_str().map(latin1).unwrap_or_default();
    let times = text["times"].as_u64().and_then(|times| usize::try_from(times).ok()).unwrap_or(1);
    [part("before"), part("text").repeat(times), part("after")].concat()
}

/// Recorded octets are text with a character for each. What has others is text, and its octets are UTF-8.
pub(crate) fn latin1(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(c).ok())
        .collect::<Option<_>>()
        .unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Octets to Latin-1 text.
pub(crate) fn from_latin1(octets: &[u8]) -> String {
    octets.iter().copied().map(char::from).collect()
}

/// A number in the type that it has to have here.
pub(crate) fn number<T: TryFrom<u64>>(value: &Value) -> Result<T, String> {
    value
        .as_u64()
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| format!("no such number: {value}"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{are_others, latin1, number, recording};

    #[test]
    #[should_panic(expected = "is missing")]
    fn a_recording_that_is_missing_fails() {
        assert!(!are_others(), "of other recordings one that is missing is skipped");
        recording("facts/none.json");
    }

    #[test]
    fn octets_are_latin1_and_other_text_is_utf8() {
        assert_eq!(latin1("a\u{ff}"), b"a\xff");
        assert_eq!(latin1("a\u{ff}\u{1f600}"), "a\u{ff}\u{1f600}".as_bytes());
    }

    #[test]
    fn a_number_that_its_type_has_not_is_an_error() {
        assert_eq!(number::<u16>(&json!(65_535)), Ok(65_535));
        for none in [json!(65_536), json!(-1), json!("80"), json!(null)] {
            assert!(number::<u16>(&none).is_err(), "{none}");
        }
    }
}
