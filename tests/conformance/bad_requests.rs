//! `bad-request-exceptions.json`: each way in which a request can be bad, as its handler and its
//! client see it: passed on, caught, caught and answered, before the answer began and after. Nothing
//! of it is logged above debug.

use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::cases::{
    breaks_a_trailer, ends_its_side, has_step, is_http2, is_read, reads_after_failure, results, sent,
    trailer_frames, trailer_section, upgrades_http10,
};
use crate::exchange::replay;
use crate::recording::Case;
use crate::table::How::{Such, Unsaid};
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
    rule("desync-after-500", 7, leaves_unflushed, Such(|_, _| false)),
    rule("chunk-size-overflow", 4, overflows_a_chunk_size, Such(|_, _| false)),
    rule("request-trailer-utf8, field-value-control", 4, breaks_a_trailer, Such(|_, _| false)),
    rule("trailer-bare-lf", 2, ends_a_trailer_with_lf, Such(|_, _| false)),
    rule("target-octets", 1, has_control_in_target, Such(|_, _| false)),
    rule("http10-upgrade", 1, upgrades_http10, Such(|_, _| false)),
    rule("content-length-digits", 1, signs_a_length, Such(|_, _| false)),
    rule("a status that a handler answers with is an answer like any other", 20, throws_a_status, Such(|_, _| false)),
    rule("an extractor's rejection has axum's words", 4, has_form, Such(|_, _| false)),
    rule("a handler that panics over a bad body passes its failure on (BadRequestLayer)", 4, throws_another, Such(|_, _| false)),
    rule("what came before a failure is handed over before it", 2, copies_on, Such(|_, _| false)),
    rule("after its failure a body is at its end (MaxRequestBodySizeLayer)", 14, reads_after_failure, Such(|_, _| false)),
    rule("HTTP/2 has the rates of HTTP/1 (RequestLimits)", 2, is_slow_http2, Such(|_, _| false)),
    rule("a client that ends its side is let go with a FIN, where Kestrel resets", 5, ends_its_side, Such(|_, _| false)),
    rule("h2 passes over a pseudo-header among trailers", 2, has_pseudo_trailer, Such(|_, _| false)),
    rule("h2 resets the stream that is at fault, and keeps the connection", 1, does_not_end_trailers, Such(|_, _| false)),
];

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
