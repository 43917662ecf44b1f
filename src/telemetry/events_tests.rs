//! Each event, with text that would like to be a line of the log.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::{Arc, Mutex};

use http::{HeaderName, StatusCode};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::*;

/// Who can make an event happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    /// Whoever connects.
    Client,
    /// The app: its handlers and its answers.
    App,
    /// Options, files and the system.
    Operator,
}
use Cause::{App, Client, Operator};

const FORGED: &str = "x\r\n2026-01-01T00:00:00Z  INFO app: admin logged in\u{1b}[2K\u{2028}\u{85}\u{202e}\0";

struct Peer;

impl About for Peer {
    fn id(&self) -> &dyn Display {
        &"0HNG7QK3J4T1C"
    }

    fn endpoint(&self) -> &'static str {
        "http://localhost:5000"
    }
}

/// Every function of `events.rs` that logs.
#[rustfmt::skip]
const EVENTS: &[(&str, Cause, fn())] = &[
    ("connection_rejected", Client, || connection_rejected(&Peer)),
    ("connection_failed", Client, || connection_failed(&Peer, &FORGED)),
    ("bad_request", Client, || bad_request(&Peer, &FORGED, 400)),
    ("no_http2_by_alpn", Client, || no_http2_by_alpn(&Peer)),
    ("octets", Client, || octets(&Peer, FORGED, "read", 3, &"\n 0d ff   ..")),
    ("tls_handshake_failed", Client, || tls_handshake_failed(&Peer, &FORGED)),
    ("tls_handshake_timed_out", Client, || tls_handshake_timed_out(&Peer)),
    ("http_over_tls_port", Client, || http_over_tls_port(&Peer)),
    ("response_too_slow", Client, || response_too_slow(&Peer)),
    ("host_not_allowed", Client, || host_not_allowed(FORGED.as_bytes())),
    ("host_missing", Client, host_missing),
    ("unknown_proxy", Client, || unknown_proxy(&FORGED)),
    ("forwarded_element_unreadable", Client, || forwarded_element_unreadable(FORGED.as_bytes())),
    ("forwarded_address_unreadable", Client, || forwarded_address_unreadable(FORGED.as_bytes())),
    ("forwarded_headers_uneven", Client, forwarded_headers_uneven),
    ("certificate_unreadable", Client, || certificate_unreadable(&FORGED)),
    ("body_failed", Client, || body_failed(&FORGED)),
    ("connection_headers_dropped", App, || connection_headers_dropped(&HeaderName::from_static("upgrade"))),
    ("handler_panicked", App, || handler_panicked(FORGED)),
    ("answer_broken", App, || answer_broken(StatusCode::SWITCHING_PROTOCOLS)),
    ("https_port_unknown", Operator, https_port_unknown),
    ("accept_failed", Operator, || accept_failed(FORGED, &io::Error::other(FORGED))),
    ("now_listening", Operator, || now_listening(&FORGED)),
    ("shutting_down", Operator, || shutting_down(1, 1)),
    ("exiting", Operator, exiting),
    ("connections_cut", Operator, || connections_cut(1)),
    ("loopback_unavailable", Operator, || {
        loopback_unavailable(&FORGED, ([127, 0, 0, 1], 1).into(), &io::Error::other(FORGED));
    }),
    ("host_name_restricts_nothing", Operator, || host_name_restricts_nothing(FORGED, 80)),
    ("no_dual_stack", Operator, || no_dual_stack(80, &io::Error::other(FORGED))),
    ("stale_socket_removed", Operator, || stale_socket_removed(Path::new(FORGED))),
    ("socket_not_removed", Operator, || socket_not_removed(Path::new(FORGED), &io::Error::other(FORGED))),
    ("certificate_without_names", Operator, || certificate_without_names(&FORGED, &FORGED)),
    ("certificate_expired", Operator, || certificate_expired(&FORGED, &FORGED, &FORGED)),
    ("certificate_not_yet_valid", Operator, || certificate_not_yet_valid(&FORGED, &FORGED, &FORGED)),
    ("certificates_unrelated", Operator, || certificates_unrelated(&FORGED, 1)),
    ("certificate_reloaded", Operator, || certificate_reloaded(&format_args!("{FORGED}"))),
    ("certificate_not_reloaded", Operator, || certificate_not_reloaded(&format_args!("{FORGED}"))),
    ("authorities_reloaded", Operator, || authorities_reloaded(Path::new(FORGED))),
    ("authorities_not_reloaded", Operator, || authorities_not_reloaded(&format_args!("{FORGED}"))),
    ("development_certificate_created", Operator, || development_certificate_created(Path::new(FORGED))),
    ("development_certificate_unusable", Operator, || development_certificate_unusable(Path::new(FORGED), &FORGED)),
];

/// Keeps the events of one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Logged>>>);

#[derive(Clone)]
struct Logged {
    level: Level,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Logged {
    /// As what shows events does: a string in quotes, everything else as it is.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut logged = Logged { level: *event.metadata().level(), fields: Vec::new() };
        event.record(&mut logged);
        self.0.lock().unwrap().push(logged);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn logged(log: fn()) -> Logged {
    let seen = Log::default();
    tracing::subscriber::with_default(seen.clone(), log);
    let events = seen.0.lock().unwrap();
    assert_eq!(events.len(), 1, "one event each");
    events[0].clone()
}

#[test]
fn every_event_is_one_of_those_here() {
    let source = include_str!("events.rs");
    let functions = source.lines().filter_map(|line| line.strip_prefix("pub(crate) fn "));
    let names =
        functions.filter_map(|line| line.split('(').next()).filter(|name| *name != "octets_are_wanted");
    let mut names: Vec<_> = names.collect();
    let mut here: Vec<_> = EVENTS.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    here.sort_unstable();
    assert_eq!(here, names);
}

#[test]
fn what_a_client_can_cause_is_never_above_debug() {
    for (name, cause, log) in EVENTS {
        let level = logged(*log).level;
        assert!(*cause != Client || level >= Level::DEBUG, "{name}: {level}");
    }
}

#[test]
fn nobody_writes_a_line_of_the_log() {
    let mut wrong = String::new();
    for (name, _, log) in EVENTS {
        let Logged { fields, .. } = logged(*log);
        let messages: Vec<_> = fields.iter().filter(|(field, _)| *field == "message").collect();
        if messages.len() != 1 {
            _ = writeln!(wrong, "{name}: {} fields are named `message`", messages.len());
        }
        for (field, text) in &fields {
            // The lines of a dump begin with octets in hex.
            let text = if *name == "octets" { text.replace("\n 0d ff", "") } else { text.clone() };
            let hostile = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}');
            if text.contains(hostile) {
                _ = writeln!(wrong, "{name}: {field}: {text:?}");
            }
            let own_words = *name == "now_listening"; // of whoever has named the endpoint
            if *field == "message" && text.contains("admin") && !own_words {
                _ = writeln!(wrong, "{name}: the message has words of others");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
