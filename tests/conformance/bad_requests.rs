//! `bad-request-exceptions.json`: each way in which a request can be bad, as its handler and its
//! client see it: passed on, caught, caught and answered, before the answer began and after. Nothing
//! of it is logged above debug.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::cases::{
    answer, breaks_a_trailer, ends_its_side, ends_with_fin, fails_with, has_step, is_as_if_unflushed,
    is_bare, is_http2, is_open, is_read, is_refused, is_reset_alone, reads_after_failure, reads_on,
    refuses_body, results, sent, trailer_frames, trailer_section, upgrades_http10,
};
use crate::exchange::replay;
use crate::recording::Case;
use crate::table::How::Such;
use crate::table::{Difference, check, replay_all, rule};

#[tokio::test(start_paused = true)]
async fn bad_requests_are_answered_as_kestrel_answers_them() {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    replay_all("facts/bad-request-exceptions.json", DIFFERENCES, async |case| {
        _ = log.lines();
        let result = replay(case).await;
        let logged = log.lines();
        // A handler that panics is news to its owner, whatever its client sent.
        let panics = has_step(case, &["throw"]);
        check(panics || logged.is_empty(), || format!("logged above debug: {logged:?}"))?;
        result
    })
    .await;
}

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("desync-after-500", 7, leaves_unflushed, Such(is_as_if_unflushed)),
    rule("chunk-size-overflow", 4, overflows_a_chunk_size, Such(refuses_body)),
    rule("request-trailer-utf8, field-value-control", 4, breaks_a_trailer, Such(refuses_body)),
    rule("trailer-bare-lf", 2, ends_a_trailer_with_lf, Such(refuses_body)),
    rule("target-octets", 1, has_control_in_target, Such(is_refused)),
    rule("http10-upgrade", 1, upgrades_http10, Such(is_refused)),
    rule("content-length-digits", 1, signs_a_length, Such(is_refused)),
    rule("a status that a handler answers with is an answer like any other", 20, throws_a_status, Such(answers_as_thrown)),
    rule("an extractor's rejection has axum's words", 4, has_form, Such(says_axums_words)),
    rule("a handler that panics over a bad body passes its failure on (BadRequestLayer)", 4, throws_another, Such(|_, here| fails_with(here, 413) && is_bare(here, 413))),
    rule("what came before a failure is handed over before it", 2, copies_on, Such(hands_over)),
    rule("h2 refuses a request whose length its body belies, where all of it is there", 5, is_belied, Such(|_, here| is_reset_alone(here) && here["requests"] == json!([]))),
    rule("after its failure a body is at its end (MaxRequestBodySizeLayer)", 9, reads_after_failure, Such(reads_on)),
    rule("HTTP/2 has the rates of HTTP/1 (RequestLimits)", 2, is_slow_http2, Such(|_, here| fails_with(here, 408) && is_open(here))),
    rule("a client that ends its side is let go with a FIN, where Kestrel resets", 5, ends_its_side, Such(|_, here| ends_with_fin(here))),
    rule("h2 passes over a pseudo-header among trailers", 2, has_pseudo_trailer, Such(|_, here| is_bare(here, 200) && is_open(here))),
    rule("malformed-request-scope", 1, does_not_end_trailers, Such(|_, here| fails_with(here, 400) && is_reset_alone(here))),
];

/// The connection goes on; what is no status is a panic.
fn answers_as_thrown(case: &Case, here: &Value) -> bool {
    let thrown = results(case).find(|result| result["op"][1] == "BadHttpRequestException");
    let thrown =
        thrown.and_then(|result| result["op"][2].as_u64()).filter(|status| (100..1000).contains(status));
    // One that came too late is nothing.
    let status = if has_step(case, &["complete"]) { 200 } else { thrown.unwrap_or(500) };
    answer(here)["status"] == status && is_open(here)
}

fn says_axums_words(case: &Case, here: &Value) -> bool {
    let body = answer(here)["body"].as_str().unwrap_or_default();
    answer(here)["status"] == answer(&case.output)["status"]
        && body.starts_with("Failed to buffer the request body")
}

fn hands_over(case: &Case, here: &Value) -> bool {
    if is_http2(case) {
        return is_bare(here, 413);
    }
    answer(here)["body"] == "hello" && answer(here)["complete"] == false
}

fn is_belied(case: &Case) -> bool {
    is_http2(case) && case.id.starts_with("length-too-")
}

fn leaves_unflushed(case: &Case) -> bool {
    has_step(case, &["pipe-put"]) && results(case).any(|result| !result["throws"].is_null())
}

fn overflows_a_chunk_size(case: &Case) -> bool {
    results(case).any(|result| result["inner"]["throws"] == "OverflowException")
}

fn ends_a_trailer_with_lf(case: &Case) -> bool {
    trailer_section(case).is_some_and(|trailers| trailers.replace("\r\n", "").contains('\n'))
}

fn has_control_in_target(case: &Case) -> bool {
    let target = |octets: &str| octets.lines().next().is_some_and(|line| line.contains(char::is_control));
    sent(case).next().is_some_and(target)
}

fn signs_a_length(case: &Case) -> bool {
    sent(case).any(|octets| octets.contains("Content-Length: +") || octets.contains("Content-Length: -0"))
}

fn throws_a_status(case: &Case) -> bool {
    results(case).any(|result| result["op"][1] == "BadHttpRequestException")
}

fn has_form(case: &Case) -> bool {
    has_step(case, &["read-form"])
}

fn throws_another(case: &Case) -> bool {
    has_step(case, &["throw"]) && results(case).any(is_read)
}

fn copies_on(case: &Case) -> bool {
    has_step(case, &["copy-request-to-response"])
}

fn is_slow_http2(case: &Case) -> bool {
    is_http2(case) && !case.input["server"]["min_request_body_data_rate"].is_null()
}

fn has_pseudo_trailer(case: &Case) -> bool {
    trailer_frames(case)
        .any(|headers| headers["fields"][0][0].as_str().is_some_and(|name| name.starts_with(':')))
}

fn does_not_end_trailers(case: &Case) -> bool {
    trailer_frames(case).any(|headers| headers["end_stream"] == false)
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What has been logged since the last call; nothing that the server of the test says at its end.
    fn lines(&self) -> Vec<String> {
        let octets = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = String::from_utf8_lossy(&octets);
        text.lines().filter(|line| !line.contains("shutting down")).map(str::to_owned).collect()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
