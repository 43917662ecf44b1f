//! What differs of whole answers, and how.

use serde_json::{Value, json};

use super::recorded;
use crate::recording::Case;
use crate::table::How::{Such, Unsaid};
use crate::table::{Difference, rule};

/// What differs on purpose, or cannot be said in axum: in both files, and how often.
macro_rules! differences {
    ($($reason:expr, $date_server:expr, $status:expr, $covers:expr, $how:expr;)*) => {
        pub(super) const DATE_SERVER: &[Difference] = &[$(rule($reason, $date_server, $covers, $how)),*];
        pub(super) const STATUS: &[Difference] = &[$(rule($reason, $status, $covers, $how)),*];
    };
}

#[rustfmt::skip]
differences! {
    "the recording has not all of the request",                                      3,   0, is_cut, Unsaid;
    "the recording takes a 299 for the answer to its second request",                0,   5, is_taken_for_second, Such(|_, here| is_line(here, "299 "));
    "there is no such status in `http`",                                             0,  25, has_no_status, Unsaid;
    "a reason phrase of hyper is octets, and has no control characters",             0, 126, has_no_reason, Unsaid;
    "desync-after-500",                                                             14,   0, is_desync, Such(nothing_follows);
    "nothing-sent",                                                                 42,   7, is_silent, Such(says_something);
    "interim-status",                                                                0, 208, is_interim, Such(is_500);
    "after a 101 nothing is HTTP: it has no length and no body, and is the last",   11,   7, is_switching, Such(is_switched);
    "tunnel",                                                                       25,  22, is_tunnel, Such(is_tunnelled);
    "own-transfer-encoding",                                                        87,  27, has_transfer_encoding, Such(names_codings);
    "announced-close",                                                              55,   0, ends_unannounced, Such(announces);
    "close-means-close",                                                            13,   0, goes_on_after_close, Such(closes);
    "the body of an answer to HEAD is not asked for",                               23,   0, is_head_with_body, Such(|_, here| is_line(here, "200 OK") && is_bare(here));
    "axum says the length of an empty body, to HEAD too",                           13,  31, is_head, Such(has_length_0);
    "a body where none may be is left out, and the connection goes on",              0,  14, has_forbidden_body, Such(leaves_body_out);
    "304: the length 0 is a router's word for the body that is not there",           1,   1, is_empty_304, Such(has_no_length);
    "what a handler does once its answer is whole is nothing to the client",         3,   0, goes_on_after_its_end, Such(goes_on);
    "a header is looked at when it is sent, not when it is set",                     6,   0, overwrites_length, Such(|_, here| is_line(here, "200 OK") && here["answers"][0]["body"] == "hello");
    "a header with no value is a header",                                            1,   0, appends_to_nothing, Such(|_, here| header(here, "x-a") == &json!(["", "2"]));
}

/// An answer as it was recorded, but for this.
fn is_recorded_but(case: &Case, here: &Value, change: impl FnOnce(&mut Value)) -> bool {
    let mut expected = recorded(case, method(case) == "HEAD");
    change(&mut expected);
    if method(case) == "HEAD" && header(here, "content-length") == &json!(["0"]) {
        // What axum says of an empty body.
        expected["answers"][0]["headers"]["content-length"] = json!(["0"]);
    }
    expected == *here
}

fn header<'a>(here: &'a Value, name: &str) -> &'a Value {
    &here["answers"][0]["headers"][name]
}

fn is_line(here: &Value, line: &str) -> bool {
    let mut versions = ["HTTP/1.1 ", "HTTP/1.0 "].iter();
    let shown = here["answers"][0]["line"].as_str().unwrap_or_default();
    here["answers"].as_array().is_some_and(|answers| answers.len() == 1)
        && versions.any(|version| shown.strip_prefix(version).is_some_and(|rest| rest.starts_with(line)))
}

/// Whole, and without a body.
fn is_bare(here: &Value) -> bool {
    let answer = &here["answers"][0];
    answer["body"] == "" && answer["complete"] == true && here["rest"] == ""
}

fn is_500(_: &Case, here: &Value) -> bool {
    is_line(here, "500 ") && is_bare(here) && header(here, "transfer-encoding").is_null()
}

fn nothing_follows(case: &Case, here: &Value) -> bool {
    let is_cut = is_line(here, "200 ") && here["answers"][0]["complete"] == false;
    here["rest"] == "" && (is_cut || is_500(case, here))
}

/// What the handler set, without what was wrong with it; or a 500.
fn says_something(case: &Case, here: &Value) -> bool {
    let is_its_own = is_line(here, &status(case).to_string());
    (is_its_own || is_500(case, here)) && is_bare(here) && header(here, "transfer-encoding").is_null()
}

fn is_switched(_: &Case, here: &Value) -> bool {
    let is_headed = ["content-length", "transfer-encoding"].iter().all(|name| header(here, name).is_null());
    is_line(here, "101 ") && is_headed && is_bare(here) && here["goes_on"] == false
}

fn is_tunnelled(case: &Case, here: &Value) -> bool {
    let is_headed = ["content-length", "transfer-encoding"].iter().all(|name| header(here, name).is_null());
    is_500(case, here)
        || is_line(here, "2") && is_headed && here["answers"][0]["body"] == "" && here["goes_on"] == false
}

fn names_codings(case: &Case, here: &Value) -> bool {
    let is_http10 = case.input["request"].as_str().is_some_and(|request| request.contains(" HTTP/1.0\r\n"))
        || case.input["version"] == "HTTP/1.0";
    let (framing, length) = (header(here, "transfer-encoding"), header(here, "content-length"));
    is_framing_of(case, framing, !is_http10)
        && (framing.is_null() || length.is_null())
        && here["answers"][0]["complete"] == true
        && here["rest"] == ""
}

/// The codings that the handler has named, and the framing that the server has chosen.
pub(crate) fn is_framing_of(case: &Case, framing: &Value, is_http11: bool) -> bool {
    let is_coding = |name: &str| {
        let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        !matches!(&*name, "" | "chunked" | "identity")
    };
    let named = values_of(case, "transfer-encoding").flat_map(|value| value.split(',')).map(str::trim);
    let mut codings: Vec<&str> = named.filter(|name| is_coding(name)).collect();
    if !is_http11 {
        return framing.is_null();
    }
    if codings.is_empty() {
        return framing.is_null() || *framing == json!(["chunked"]);
    }
    codings.push("chunked");
    *framing == json!([codings.join(", ")])
}

fn announces(case: &Case, here: &Value) -> bool {
    is_recorded_but(case, here, |answer| answer["answers"][0]["headers"]["connection"] = json!(["close"]))
}

fn closes(case: &Case, here: &Value) -> bool {
    is_recorded_but(case, here, |answer| answer["goes_on"] = false.into())
}

fn goes_on(case: &Case, here: &Value) -> bool {
    is_recorded_but(case, here, |answer| answer["goes_on"] = true.into())
}

fn has_length_0(case: &Case, here: &Value) -> bool {
    is_recorded_but(case, here, |answer| {
        answer["answers"][0]["headers"]["content-length"] = json!(["0"]);
    })
}

fn has_no_length(case: &Case, here: &Value) -> bool {
    is_recorded_but(case, here, |answer| {
        _ = answer["answers"][0]["headers"]
            .as_object_mut()
            .and_then(|headers| headers.remove("content-length"));
    })
}

fn leaves_body_out(case: &Case, here: &Value) -> bool {
    is_line(here, &status(case).to_string()) && is_bare(here)
}

fn steps(case: &Case) -> impl Iterator<Item = &Value> + Clone {
    case.input["handler"].as_array().into_iter().flatten()
}

fn is_step(step: &Value, names: &[&str]) -> bool {
    step[0].as_str().is_some_and(|name| names.contains(&name))
}

fn has_step(case: &Case, names: &[&str]) -> bool {
    steps(case).any(|step| is_step(step, names))
}

/// The values that the handler gives a header.
fn values_of<'a>(case: &'a Case, header: &'static str) -> impl Iterator<Item = &'a str> {
    let gives = move |step: &&Value| {
        is_step(step, &["header", "append", "on-starting-header"])
            && step[1].as_str().is_some_and(|name| name.eq_ignore_ascii_case(header))
    };
    steps(case).filter(gives).filter_map(|step| step[2].as_str())
}

/// The status that the handler sets, 200 by default.
pub(crate) fn status(case: &Case) -> i64 {
    steps(case)
        .filter(|step| is_step(step, &["status"]))
        .last()
        .and_then(|step| step[1].as_i64())
        .unwrap_or(200)
}

fn method(case: &Case) -> &str {
    let request = case.input["request"].as_str().and_then(|request| request.split(' ').next());
    let client = &case.input["client"][0];
    let sent = client["send"].as_str().and_then(|request| request.split(' ').next());
    let method = request.or(case.input["method"].as_str()).or(sent);
    method.or(client["headers"]["fields"][0][1].as_str()).unwrap_or("GET")
}

const BODY: &[&str] = &["write", "write!", "write-unflushed", "start", "flush", "pipe-put", "pipe-write"];

pub(super) fn is_cut(case: &Case) -> bool {
    !case.input["request"]["length"].is_null()
}

pub(crate) fn has_no_status(case: &Case) -> bool {
    !(100..1000).contains(&status(case))
}

pub(crate) fn has_no_reason(case: &Case) -> bool {
    let is_bad = |c: char| !c.is_ascii() || c.is_ascii_control() && c != '\t';
    steps(case)
        .any(|step| is_step(step, &["reason"]) && step[1].as_str().is_some_and(|text| text.contains(is_bad)))
}

/// Kestrel sent octets behind the empty body of a 500.
fn is_desync(case: &Case) -> bool {
    let raw = case.output["raw"].as_str().unwrap_or_default();
    raw.starts_with("HTTP/1.1 500 ") && !raw.ends_with("\r\n\r\n")
}

fn is_silent(case: &Case) -> bool {
    case.output["raw"] == "" && !case.output["app_error"].is_null()
}

fn is_taken_for_second(case: &Case) -> bool {
    case.output["raw"] == "" && status(case) == 299
}

pub(crate) fn is_interim(case: &Case) -> bool {
    matches!(status(case), 100 | 102..200)
}

pub(crate) fn is_switching(case: &Case) -> bool {
    status(case) == 101
}

fn has_length(case: &Case) -> bool {
    has_step(case, &["content-length"]) || values_of(case, "content-length").next().is_some()
}

pub(crate) fn is_tunnel(case: &Case) -> bool {
    method(case) == "CONNECT" && (200..300).contains(&status(case))
}

pub(crate) fn has_transfer_encoding(case: &Case) -> bool {
    values_of(case, "transfer-encoding").next().is_some()
}

fn says_close(case: &Case) -> bool {
    let mut options = values_of(case, "connection").flat_map(|value| value.split(','));
    options.any(|option| option.trim().eq_ignore_ascii_case("close"))
}

pub(crate) fn ends_unannounced(case: &Case) -> bool {
    let ends = case.output["keep_alive"] != true;
    ends && values_of(case, "connection").next().is_some() && !says_close(case)
}

fn goes_on_after_close(case: &Case) -> bool {
    case.output["keep_alive"] == true && says_close(case)
}

pub(crate) fn is_head_with_body(case: &Case) -> bool {
    let mut body = steps(case).skip_while(|step| !is_step(step, BODY));
    method(case) == "HEAD" && body.any(|step| !is_step(step, &["start", "flush", "complete"]))
}

pub(crate) fn is_head(case: &Case) -> bool {
    method(case) == "HEAD" && !has_length(case)
}

pub(crate) fn has_forbidden_body(case: &Case) -> bool {
    matches!(status(case), 204 | 205 | 304) && has_step(case, BODY)
}

pub(crate) fn is_empty_304(case: &Case) -> bool {
    status(case) == 304 && has_length(case)
}

pub(crate) fn goes_on_after_its_end(case: &Case) -> bool {
    let mut length = None;
    let mut written = 0;
    let mut whole = false;
    for step in steps(case) {
        if whole {
            return true;
        }
        if is_step(step, &["content-length"]) {
            length = step[1].as_u64();
        }
        if is_step(step, &["write", "write-unflushed"]) {
            written += step[1].as_str().map_or(0, str::len) as u64;
        }
        whole = is_step(step, &["complete"]) || length.is_some_and(|length| length > 0 && length == written);
    }
    false
}

fn overwrites_length(case: &Case) -> bool {
    has_step(case, &["content-length"]) && values_of(case, "content-length").next().is_some()
}

fn appends_to_nothing(case: &Case) -> bool {
    has_step(case, &["append"]) && steps(case).any(|step| step[2] == "")
}
