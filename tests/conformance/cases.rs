//! What recorded cases have in common, for the tables of differences.

use serde_json::Value;

use crate::recording::Case;

/// The steps of all handlers.
pub(crate) fn steps(case: &Case) -> impl Iterator<Item = &Value> {
    let more = case.input["handlers"].as_array().into_iter().flatten();
    more.chain([&case.input["handler"]]).flat_map(|steps| steps.as_array().into_iter().flatten())
}

/// Whether a handler has one of these steps.
pub(crate) fn has_step(case: &Case, names: &[&str]) -> bool {
    steps(case).any(|step| names.contains(&step[0].as_str().unwrap_or_default().trim_end_matches('!')))
}

pub(crate) fn is_http2(case: &Case) -> bool {
    case.input["protocol"] == "h2"
}

/// What the client does.
pub(crate) fn client(case: &Case) -> impl Iterator<Item = &Value> {
    case.input["client"].as_array().into_iter().flatten()
}

/// What a client of HTTP/1 sends.
pub(crate) fn sent(case: &Case) -> impl Iterator<Item = &str> {
    client(case).filter_map(|step| step["send"].as_str())
}

/// Whether a request of HTTP/1.0 asks for an upgrade.
pub(crate) fn upgrades_http10(case: &Case) -> bool {
    sent(case).any(|octets| octets.contains("HTTP/1.0") && octets.to_lowercase().contains("upgrade"))
}

/// What was recorded of a request's steps.
pub(crate) fn results(case: &Case) -> impl Iterator<Item = &Value> {
    let requests = case.output["requests"].as_array().into_iter().flatten();
    requests.flat_map(|request| request["steps"].as_array().into_iter().flatten())
}

pub(crate) fn is_read(result: &Value) -> bool {
    result["op"][0].as_str().is_some_and(|name| name.contains("read"))
}

/// The trailers of a request over HTTP/1.
pub(crate) fn trailer_section(case: &Case) -> Option<&str> {
    sent(case).find_map(|octets| octets.split_once("\r\n0\r\n").map(|(_, trailers)| trailers))
}

/// A control, or what is not ASCII, in a trailer.
pub(crate) fn breaks_a_trailer(case: &Case) -> bool {
    let is_odd = |c: char| !c.is_ascii() || c.is_control() && !matches!(c, '\r' | '\n' | '\t');
    trailer_section(case).is_some_and(|trailers| trailers.contains(is_odd))
}

/// One read fails, and so does another one after it.
pub(crate) fn reads_after_failure(case: &Case) -> bool {
    results(case).filter(|result| is_read(result) && !result["throws"].is_null()).count() > 1
}

/// The client goes, or says that it will not send any more.
pub(crate) fn ends_its_side(case: &Case) -> bool {
    client(case).any(|step| ["half_close", "close", "reset"].iter().any(|kind| step[kind] == true))
}

/// The frames with the trailers of a request over HTTP/2.
pub(crate) fn trailer_frames(case: &Case) -> impl Iterator<Item = &Value> {
    client(case)
        .map(|step| &step["headers"])
        .filter(|headers| headers.is_object() && headers["fields"][0][0] != ":method")
}
