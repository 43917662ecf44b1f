//! `request-features.json`: what a handler can ask and set, before, in and after the reading of the
//! body, and once its answer has begun; and what its client gets.

use serde_json::{Value, json};

use crate::answers::differences::{
    ends_unannounced, goes_on_after_its_end, has_forbidden_body, has_no_reason, has_no_status,
    has_transfer_encoding, is_empty_304, is_framing_of, is_head, is_head_with_body, is_interim, is_switching,
    is_tunnel, status,
};
use crate::cases::{
    answer, breaks_a_trailer, client, ends_its_side, ends_with_fin, fails_with, given, has_step, is_500,
    is_as_if_unflushed, is_bare, is_http2, is_open, is_reset_alone, list, reads_after_failure, reads_on,
    results, sent, steps, trailer_frames, trailer_section, upgrades_http10,
};
use crate::exchange::{replay, same};
use crate::recording::Case;
use crate::table::How::{Such, Unsaid};
use crate::table::{Difference, replay_all, rule};

#[tokio::test(start_paused = true)]
async fn requests_have_what_kestrel_gives_them() {
    replay_all("facts/request-features.json", DIFFERENCES, replay).await;
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    // What has no counterpart.
    rule("TLS has tests of its own: `sni`, `tls`", 29, has_tls, Unsaid),
    rule("the server here is in memory: it has no addresses", 8, has_address, Unsaid),
    rule("the client here has one connection", 2, has_two_connections, Unsaid),
    rule("a form is read once", 2, reads_form_twice, Such(|_, here| given(here, &["read-form"]).last() == Some(&json!({ "value": {} })))),
    rule("a body gives each piece once: none is kept, looked at, or read again", 32, looks_at_body, Unsaid),
    rule("the token of a request is the server's to fire", 3, has_token, Unsaid),
    rule("a writer that fails is a body that fails", 2, |case| has_step(case, &["pipe-writer-complete-error"]), Such(|case, here| is_500(case, here) || answer(here)["complete"] == false)),
    rule("what .NET's streams and pipes have besides", 44, has_dotnet_stream, Unsaid),
    rule("trailers are appended, and neither looked at nor taken back", 10, has_trailer_collection, Unsaid),
    rule("a header map of `http` is replaced by assignment, and `insert` does not refuse", 7, has_header_collection, Unsaid),
    rule("blocking calls are for bodies: a tunnel is a stream of tokio", 4, blocks_in_tunnel, Unsaid),
    rule("an identity is not set, and a stream has no number to ask for", 5, has_other_identity, Unsaid),
    rule("there is no way to answer with a part of a file: of none of it there is a body without a length", 4, |case| has_step(case, &["send-file"]), Such(|_, here| is_bare(here, 200) && answer(here)["headers"]["content-length"].is_null())),
    rule("there is no way to answer with a part of a file", 2, sends_file, Unsaid),
    rule("a callback at the start is a layer, which is shown a head: the rest is not replayed", 8, has_busy_callback, Such(|_, here| answer(here)["status"] == 200 && is_open(here))),
    rule("a middleware that reads has taken what it has read", 1, reads_in_middleware, Unsaid),
    rule("h2-stop: a stream that is opened behind a GOAWAY is not served", 1, |case| case.id == "close.h2-new-stream-before-end.h2", Such(|_, here| answer(here)["body"] == "ok" && ends_with_fin(here))),
    rule("h2-connection-fields", 1, is_of_http1, Such(|_, here| is_reset_alone(here) && here["requests"] == json!([]))),
    // What a type of Rust cannot hold.
    rule("there is no such status in `http`", 7, has_no_status, Such(|_, here| given(here, &["status"]).any(|given| given["fails"] == "no such status"))),
    rule("a reason phrase of hyper is octets, and has no control characters", 2, has_no_reason, Such(|_, here| answer(here)["reason"] == if given(here, &["reason"]).all(Value::is_null) { "ü" } else { "OK" })),
    rule("a limit is not negative: the type says so", 2, |case| !case.input["endpoint"].is_null() && sets_negative(case), Unsaid),
    rule("a limit is not negative: where it was to be set there is none", 7, sets_negative, Such(|_, here| given(here, &["max-body"]).all(|given| given["value"].is_null()))),
    rule("a rate is a number above 0, and a time is exact", 3, has_odd_rate, Such(is_exact_rate)),
    rule("a header is a `HeaderName` and a `HeaderValue`: UTF-8 passes, controls do not", 4, is_about_a_header, Such(|_, here| answer(here)["body"] == "ok" && answer(here)["headers"]["x-a"].is_array())),
    // What the client gets.
    rule("nothing-sent", 12, is_nothing, Such(says_something)),
    rule("desync-after-500", 2, leaves_unflushed, Such(is_as_if_unflushed)),
    rule("interim-status", 39, is_interim, Such(is_500)),
    rule("after a 101 nothing is HTTP: it has no length and no body, and is the last", 16, is_switching, Such(is_switched)),
    rule("a route's limit of the body is one of CONNECT too", 1, |case| case.id == "endpoint-limit.extended-connect.h2", Such(|_, here| given(here, &["max-body"]).all(|given| given["value"] == 5))),
    rule("tunnel", 6, is_tunnel, Such(is_tunnelled)),
    rule("own-transfer-encoding", 9, has_transfer_encoding, Such(names_codings)),
    rule("announced-close", 2, ends_unannounced, Such(|_, here| answer(here)["headers"]["connection"] == json!(["close"]) && !is_open(here))),
    rule("the body of an answer to HEAD is not asked for", 3, is_head_with_body, Such(|_, here| is_bare(here, 200) && is_open(here))),
    rule("axum says the length of an empty body, to HEAD too", 10, is_head, Such(|_, here| answer(here)["headers"]["content-length"] == json!(["0"]) && is_bare(here, 200))),
    rule("a body where none may be is left out, and the connection goes on", 11, has_forbidden_body, Such(leaves_body_out)),
    rule("304: the length 0 is a router's word for the body that is not there", 1, is_empty_304, Such(|_, here| is_bare(here, 304) && answer(here)["headers"]["content-length"].is_null())),
    rule("a Content-Length that is none is the handler's mistake: 500", 9, has_odd_length, Such(is_500)),
    rule("a write does not throw: what cannot be sent is a 500, or cuts the answer", 7, writes_too_much, Such(is_500)),
    rule("a head leaves when its handler returns it: there is no start without a flush", 3, only_starts, Such(|case, here| same(answer(here), answer(&case.output)))),
    rule("to look for a body is to ask for it", 1, looks_for_body, Such(|_, here| answer(here)["status"] == 100)),
    // Requests.
    rule("what came before an abort can still be read", 14, reads_after_abort, Such(is_aborted_alike)),
    rule("a read that was dropped has taken nothing: the next one goes on", 2, drops_read, Such(|_, here| given(here, &["read-all"]).any(|given| given["value"] == " world"))),
    rule("after its failure a body is at its end (MaxRequestBodySizeLayer)", 3, reads_after_failure, Such(reads_on)),
    rule("in memory a client that goes has only gone", 1, has_reset, Such(|_, here| here["connection"]["how"] == "dropped by the client")),
    rule("HTTP/2 has the rates of HTTP/1 (RequestLimits)", 11, has_rate_over_http2, Such(|_, here| is_open(here))),
    rule("a client of HTTP/2 that ends its side is let go in peace", 1, ends_http2, Such(|_, here| ends_with_fin(here))),
    rule("an answer goes out to a client that has only ended its side (RequestAborted)", 3, ends_its_side, Such(|_, here| answer(here)["status"] == 200 && answer(here)["complete"] == true)),
    rule("over HTTP/2 a body ends with its stream, not with a length of 0", 2, has_length_0, Such(|case, here| same(answer(here), answer(&case.output)))),
    rule("a connection has one state, which all its streams share", 1, shares_state, Such(|_, here| given(here, &["state-get"]).any(|given| given["value"] == "v"))),
    // Trailers.
    rule("request-trailer-utf8", 1, breaks_a_trailer, Such(|_, here| fails_with(here, 400))),
    rule("request-trailer-framing", 3, frames_by_trailer, Such(leaves_framing_out)),
    rule("a trailer with no value is one", 1, has_empty_trailer, Such(|_, here| given(here, &["request-trailers"]).any(|given| given["value"] == json!({ "x-t": [""] })))),
    rule("over HTTP/2 trailers are there once the body has been read (RequestTrailers)", 7, reads_trailers_over_http2, Such(has_no_trailers_yet)),
    rule("a client that takes no trailers is told of none", 3, declares_over_http1, Such(|_, here| given(here, &["declare-trailer"]).all(|given| given["fails"] == "the client takes no trailers"))),
    rule("a name of `http` is in lower case", 2, declares_trailer, Such(|_, here| answer(here)["headers"]["trailer"] == json!(["x-t"]))),
    rule("a trailer is a `HeaderValue`: UTF-8 passes", 1, |case| case.id == "response-trailers.value.utf8.h2", Such(|_, here| answer(here)["trailers"] == json!({ "x-t": ["Ã¼"] }))),
    rule("what may not stand in trailers is refused (ResponseTrailers)", 10, appends_odd_trailer, Such(|_, here| given(here, &["append-trailer"]).any(|given| !given["fails"].is_null()) && answer(here)["trailers"].is_null())),
    rule("an answer without a body has no trailers (ResponseTrailers)", 2, appends_without_body, Such(|_, here| answer(here)["trailers"].is_null())),
    // Upgrades and tunnels.
    rule("http10-upgrade", 9, upgrades_http10, Such(|_, here| answer(here)["status"] != 101 && given(here, &["is-upgradable"]).all(|given| given["value"] == false))),
    rule("over the limit an upgrade is answered with 500 when it is accepted", 1, is_over_upgrade_limit, Such(is_500)),
    rule("a tunnel is closed by what drops it, and its head is gone", 2, has_tunnel, Such(|_, here| answer(here)["status"] == 101 && ends_with_fin(here))),
    // After the answer.
    rule("what a handler does once its answer is whole is nothing to the client", 3, goes_on_after_its_end, Such(|_, here| answer(here)["end_stream"] == true && answer(here)["body"] == "hi")),
    rule("the end of an answer is the end of its body: nothing is done after it", 1, |case| has_step(case, &["on-completed"]) && !has_step(case, &["later", "keep-streams"]), Such(|_, here| answer(here)["body"] == "ok" && is_open(here))),
    rule("the end of an answer is the end of its body: nothing can be kept", 8, has_late_step, Unsaid),
];

/// What the handler set, without what was wrong with it; or a 500.
fn says_something(case: &Case, here: &Value) -> bool {
    let own = u64::try_from(status(case)).unwrap_or_default();
    is_500(case, here) || is_bare(here, own) && answer(here)["headers"]["transfer-encoding"].is_null()
}

/// Over HTTP/2 nothing is switched.
fn is_switched(case: &Case, here: &Value) -> bool {
    let headers = &answer(here)["headers"];
    let is_framed = !headers["content-length"].is_null() || !headers["transfer-encoding"].is_null();
    if is_http2(case) { is_500(case, here) } else { is_bare(here, 101) && !is_framed && ends_with_fin(here) }
}

/// Either it has no framing, or it has opened no tunnel.
fn is_tunnelled(case: &Case, here: &Value) -> bool {
    let headers = &answer(here)["headers"];
    let is_framed = !headers["content-length"].is_null() || !headers["transfer-encoding"].is_null();
    let is_over =
        if is_http2(case) { is_open(here) } else { ends_with_fin(here) && answer(here)["body"] == "" };
    answer(here)["status"] == 200 && !is_framed && is_over
}

/// The codings that the handler has named, and the framing that the server has chosen.
fn names_codings(case: &Case, here: &Value) -> bool {
    let framing = &answer(here)["headers"]["transfer-encoding"];
    let is_http11 = case.input["protocol"] != "http10" && !is_http2(case);
    let is_whole = answer(here)["complete"] == true || answer(here)["end_stream"] == true;
    is_framing_of(case, framing, is_http11) && is_whole && here["connection"]["rest"].is_null()
}

fn leaves_body_out(case: &Case, here: &Value) -> bool {
    u64::try_from(status(case)).is_ok_and(|own| is_bare(here, own)) && is_open(here)
}

fn is_exact_rate(_: &Case, here: &Value) -> bool {
    given(here, &["new-rate"]).all(|given| {
        let (rate, grace) = (&given["value"]["bytes_per_second"], &given["value"]["grace_period_seconds"]);
        // JSON has no infinity.
        given["fails"].as_str().is_some_and(|error| error.contains("NaN"))
            || rate.is_null()
            || *grace == 1.001
    })
}

/// The client saw the same; a head that was written before may have reached it.
fn is_aborted_alike(case: &Case, here: &Value) -> bool {
    let is_cut = here["connection"]["how"] == "reset" && answer(here)["body"] == "";
    is_cut || same(&here["connection"], &case.output["connection"])
}

fn leaves_framing_out(case: &Case, here: &Value) -> bool {
    if is_http2(case) {
        return is_reset_alone(here);
    }
    given(here, &["request-trailers"]).all(|given| given["value"] == json!({}))
}

fn has_no_trailers_yet(_: &Case, here: &Value) -> bool {
    let asked = ["request-trailers-available", "check-trailers-available", "get-trailer"];
    given(here, &asked).next().is_some_and(|given| given["value"] == false || !given["fails"].is_null())
}

fn reads_form_twice(case: &Case) -> bool {
    steps(case).filter(|step| name(step) == "read-form").count() > 1
}

fn name(step: &Value) -> &str {
    step[0].as_str().unwrap_or_default().trim_end_matches('!')
}

fn has_tls(case: &Case) -> bool {
    !case.input["tls"].is_null()
        || steps(case)
            .any(|step| ["tls-", "client-certificate"].iter().any(|part| name(step).starts_with(part)))
}

fn has_address(case: &Case) -> bool {
    !case.input["listen"].is_null()
        || !case.input["connect"].is_null()
        || has_step(case, &["connection", "set-remote"])
}

fn has_two_connections(case: &Case) -> bool {
    client(case).any(|step| !step["on"].is_null())
}

fn looks_at_body(case: &Case) -> bool {
    let before = case.input["before_routing"].as_array().into_iter().flatten();
    let looks = |name: &str| {
        matches!(name, "enable-buffering" | "rewind" | "pipe-read-keep" | "pipe-advance")
            || name.starts_with("pipe-cancel")
            || name.starts_with("pipe-complete")
            || name.starts_with("request-dispose")
    };
    steps(case).chain(before).any(|step| looks(name(step)))
}

fn has_token(case: &Case) -> bool {
    has_step(case, &["set-token"])
}

fn has_dotnet_stream(case: &Case) -> bool {
    let parts = [
        "response-dispose",
        "response-read",
        "response-seek",
        "response-set-",
        "request-seek",
        "request-set-",
        "request-write",
        "request-flush",
        "request-read",
        "pipe-as-stream",
        "pipe-writer-as-stream",
        "pipe-get",
        "pipe-writer-advance",
        "pipe-writer-complete-error",
        "stream-writer-close",
        "disable-buffering",
    ];
    steps(case).any(|step| parts.iter().any(|part| name(step).starts_with(part)))
}

fn has_trailer_collection(case: &Case) -> bool {
    has_step(case, &["trailer", "trailers", "trailer-remove", "trailers-read-only", "replace-trailers"])
}

fn has_header_collection(case: &Case) -> bool {
    has_step(case, &["header-add", "replace-headers"])
}

fn blocks_in_tunnel(case: &Case) -> bool {
    steps(case).any(|step| name(step).starts_with("duplex") && name(step).ends_with("-sync"))
}

fn has_other_identity(case: &Case) -> bool {
    has_step(case, &["connection-id", "set-trace-id", "stream-id", "item-get", "item-set", "path"])
}

fn sends_file(case: &Case) -> bool {
    has_step(case, &["send-file", "send-missing-file"])
}

/// What is about the head alone, and what was only looked at, a layer can do.
fn has_busy_callback(case: &Case) -> bool {
    let is_of_head = |step: &Value| {
        ["header", "status", "content-", "throw", "get-", "has-", "reason"]
            .iter()
            .any(|part| name(step).starts_with(part))
    };
    let callbacks = steps(case).filter(|step| name(step) == "on-starting");
    callbacks.flat_map(|step| step[2].as_array().into_iter().flatten()).any(|step| !is_of_head(step))
}

fn reads_in_middleware(case: &Case) -> bool {
    let steps = case.input["before_routing"].as_array().into_iter().flatten();
    { steps }.any(|step| name(step).contains("read"))
}

fn is_of_http1(case: &Case) -> bool {
    let fields = client(case).flat_map(|step| list(&step["headers"]["fields"]));
    is_http2(case) && { fields }.any(|field| matches!(field[0].as_str(), Some("upgrade" | "connection")))
}

fn sets_negative(case: &Case) -> bool {
    let sets = |step: &Value| name(step) == "set-max-body" && step[1].as_i64().is_some_and(|n| n < 0);
    steps(case).any(sets) || case.input["endpoint"]["size_limit"].as_i64().is_some_and(|n| n < 0)
}

fn has_odd_rate(case: &Case) -> bool {
    has_step(case, &["new-rate"])
}

fn is_about_a_header(case: &Case) -> bool {
    case.is_in("header-name") || case.is_in("header-value")
}

/// Kestrel sent nothing, and nobody had asked it to be silent.
fn is_nothing(case: &Case) -> bool {
    let connection = &case.output["connection"];
    let nothing = connection["responses"].as_array().is_some_and(Vec::is_empty)
        || connection["streams"].as_object().is_some_and(serde_json::Map::is_empty);
    nothing && has_step(case, &["status", "content-length"]) && !has_step(case, &["abort", "reset"])
}

fn leaves_unflushed(case: &Case) -> bool {
    has_step(case, &["pipe-put"]) && results(case).any(|result| !result["throws"].is_null())
}

fn has_odd_length(case: &Case) -> bool {
    let is_odd = |value: &str| value.parse::<u64>().is_err() || value.starts_with('+');
    let sets = |step: &Value| name(step) == "header" && step[1] == "Content-Length";
    steps(case).any(|step| sets(step) && step[2].as_str().is_some_and(is_odd))
}

fn writes_too_much(case: &Case) -> bool {
    case.is_in("length")
}

fn only_starts(case: &Case) -> bool {
    !case.output["connection"]["looks"].is_null() && has_step(case, &["start"])
}

fn has_late_step(case: &Case) -> bool {
    has_step(case, &["on-completed", "later", "keep-streams"])
}

fn looks_for_body(case: &Case) -> bool {
    has_step(case, &["pipe-try-read"]) && sent(case).any(|octets| octets.contains("Expect:"))
}

fn reads_after_abort(case: &Case) -> bool {
    let mut rest = steps(case).skip_while(|step| !matches!(name(step), "abort" | "reset"));
    rest.any(|step| name(step).contains("read"))
}

fn drops_read(case: &Case) -> bool {
    has_step(case, &["read-cancel-after", "pipe-read-cancel-after"])
}

fn has_reset(case: &Case) -> bool {
    client(case).any(|step| step["reset"] == true)
}

fn has_rate_over_http2(case: &Case) -> bool {
    let options = case.input["server"].as_object().into_iter().flatten();
    let rates = ["request-rate", "set-request-rate", "response-rate", "set-response-rate"];
    is_http2(case) && (has_step(case, &rates) || { options }.any(|(name, _)| name.ends_with("rate")))
}

fn ends_http2(case: &Case) -> bool {
    is_http2(case) && ends_its_side(case)
}

fn has_length_0(case: &Case) -> bool {
    let fields = client(case).flat_map(|step| step["headers"]["fields"].as_array().into_iter().flatten());
    { fields }.any(|field| field[0] == "content-length" && field[1] == "0")
}

fn shares_state(case: &Case) -> bool {
    is_http2(case) && has_step(case, &["state-get"])
}

fn frames_by_trailer(case: &Case) -> bool {
    const NAMES: [&str; 3] = ["connection", "transfer-encoding", "host"];
    let is_one = |name: &str| NAMES.iter().any(|one| one.eq_ignore_ascii_case(name));
    let lines = trailer_section(case).into_iter().flat_map(str::lines);
    let mut frames = trailer_frames(case);
    { lines }.filter_map(|line| line.split(':').next()).any(is_one)
        || frames.any(|frame| frame["fields"][0][0].as_str().is_some_and(is_one))
}

fn has_empty_trailer(case: &Case) -> bool {
    trailer_section(case).is_some_and(|trailers| trailers.lines().any(|line| line.trim_end().ends_with(':')))
}

fn reads_trailers_over_http2(case: &Case) -> bool {
    let asks = ["request-trailers-available", "check-trailers-available", "request-trailers", "get-trailer"];
    is_http2(case) && has_step(case, &asks)
}

fn declares_trailer(case: &Case) -> bool {
    has_step(case, &["declare-trailer"])
}

fn declares_over_http1(case: &Case) -> bool {
    !is_http2(case) && declares_trailer(case)
}

fn appends_odd_trailer(case: &Case) -> bool {
    ["response-trailers.name.", "response-trailers.value."].iter().any(|group| case.id.starts_with(group))
}

fn appends_without_body(case: &Case) -> bool {
    let bodiless = |step: &Value| name(step) == "status" && matches!(step[1].as_u64(), Some(204 | 205 | 304));
    has_step(case, &["append-trailer"]) && (is_head(case) || steps(case).any(bodiless))
}

fn is_over_upgrade_limit(case: &Case) -> bool {
    !case.input["server"]["max_concurrent_upgraded_connections"].is_null()
}

fn has_tunnel(case: &Case) -> bool {
    has_step(case, &["upgrade", "accept"])
}
