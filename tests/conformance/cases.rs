//! What recorded cases have in common, for the tables of differences.

use serde_json::{Value, json};

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

/// The first answer that a client got, or was recorded to get.
pub(crate) fn answer(exchange: &Value) -> &Value {
    let connection = &exchange["connection"];
    let first = &connection["responses"][0];
    if first.is_null() { &connection["streams"]["1"] } else { first }
}

/// Whole, with this status, and without a body.
pub(crate) fn is_bare(here: &Value, status: u64) -> bool {
    let answer = answer(here);
    let is_whole = answer["complete"] == true || answer["end_stream"] == true;
    answer["status"] == status && is_whole && answer["body"] == "" && here["connection"]["rest"].is_null()
}

pub(crate) fn is_500(_: &Case, here: &Value) -> bool {
    is_bare(here, 500)
}

/// Refused before a handler was asked.
pub(crate) fn is_refused(_: &Case, here: &Value) -> bool {
    here["requests"] == json!([]) && is_bare(here, 400) && here["connection"]["end"] == "closed"
}

/// What each step of these names gave.
pub(crate) fn given<'a>(here: &'a Value, names: &'a [&str]) -> impl Iterator<Item = &'a Value> {
    let steps = list(&here["requests"]).flat_map(list);
    let is_one =
        |step: &&Value| step[0][0].as_str().is_some_and(|name| names.contains(&name.trim_end_matches('!')));
    steps.filter(is_one).map(|step| &step[1])
}

/// A step failed with this status.
pub(crate) fn fails_with(here: &Value, status: u64) -> bool {
    list(&here["requests"]).flat_map(list).any(|step| step[1]["status"] == status)
}

/// The body is refused, and the handler answers with 400 or with its own.
pub(crate) fn refuses_body(_: &Case, here: &Value) -> bool {
    fails_with(here, 400) && (is_bare(here, 400) || answer(here)["status"] == 200)
}

/// A read behind a failure gives what is left, or nothing.
pub(crate) fn reads_on(_: &Case, here: &Value) -> bool {
    let mut reads = given(here, READS).skip_while(|given| given["fails"].is_null()).skip(1).peekable();
    reads.peek().is_some() && reads.all(|given| !given["value"].is_null())
}

/// What was put into the answer before a failure is lost, and the client gets the failure's answer alone.
pub(crate) fn is_as_if_unflushed(case: &Case, here: &Value) -> bool {
    answer(&case.output)["status"].as_u64().is_some_and(|status| is_bare(here, status))
}

pub(crate) fn is_open(here: &Value) -> bool {
    here["connection"]["end"] == "open"
}

/// One stream is reset, and the connection goes on.
pub(crate) fn is_reset_alone(here: &Value) -> bool {
    answer(here)["rst"] == "PROTOCOL_ERROR" && is_open(here)
}

pub(crate) fn ends_with_fin(here: &Value) -> bool {
    here["connection"]["how"] == "fin"
}

pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(crate) const READS: &[&str] = &["read", "read-all", "read-some", "read-zero", "pipe-read"];
