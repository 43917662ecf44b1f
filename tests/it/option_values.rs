//! Whatever numbers the options have: either the server does not start and says which one is wrong, or it answers
//! over both versions of HTTP and stops, and nothing panics.

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Once;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Version};
use axum::routing::{any, post};
use axum::{Extension, Router};
use kestrel_rs::connection::{ConnectionLimitLayer, ProxyProtocolLayer};
use kestrel_rs::listener::SocketOptions;
use kestrel_rs::request::{
    ForwardedHeaders, ForwardedHeadersLayer, HstsLayer, HttpMethodOverrideLayer, MaxRequestBodySizeLayer,
    MinRequestBodyDataRateLayer, MinResponseDataRateLayer, RequestLimits,
};
use kestrel_rs::test::TestServer;
use kestrel_rs::{Endpoint, Error, Http2Limits, KestrelListener, Limits, MinDataRate};
use tokio::time::timeout;

use crate::support::HOUR;

/// The bounds of types, of options and of what lies below, and their neighbours.
#[rustfmt::skip]
const NUMBERS: [u64; 32] = [
    0, 1, 2, 99, 100, 101, 4096, 8191, 8192, 16_383, 16_384, 24_000, 24_001, 32_768, 65_534, 65_535, 65_536,
    1 << 20, (1 << 24) - 1, 1 << 24, (1 << 31) - 2, (1 << 31) - 1, 1 << 31, u32::MAX as u64 - 1, u32::MAX as u64,
    u32::MAX as u64 + 1, 10_000_000_000, (1 << 61) - 1, 1 << 61, i64::MAX as u64, 1 << 63, u64::MAX,
];

const TIMES: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_nanos(999_999_999),
    Duration::from_secs(1),
    Duration::from_nanos(1_000_000_001),
    Duration::from_secs(32_768),
    Duration::from_secs(366 * 24 * 3600),
    Duration::from_secs(i64::MAX as u64),
    Duration::new(u64::MAX, 0),
    Duration::MAX,
];

/// A value for any option, by its place among those of its type; the last place is `None`.
#[derive(Clone, Copy)]
struct Value(usize);

const VALUES: usize = NUMBERS.len() + 1;

impl Value {
    fn number(self) -> Option<u64> {
        NUMBERS.get(self.0).copied()
    }

    fn size(self) -> Option<usize> {
        self.number().map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn word(self) -> Option<u32> {
        self.number().map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn time(self) -> Option<Duration> {
        TIMES.get(self.0 % (TIMES.len() + 1)).copied()
    }

    /// A rate that is no rate is refused when it is made; the next one takes its place.
    fn rate(self) -> Option<MinDataRate> {
        let bytes = [f64::MIN_POSITIVE, 5e-324, 1.0, 240.0, 1e18, f64::MAX, f64::INFINITY];
        let rate = MinDataRate::new(bytes[self.0 % bytes.len()], self.time()?);
        Some(rate.unwrap_or_default())
    }
}

/// A server to be.
#[derive(Clone)]
struct Setup {
    limits: Limits,
    http2: Http2Limits,
    shutdown: Option<Duration>,
    endpoint: Vec<ConnectionLayer>,
    app: Router,
}

#[derive(Clone)]
enum ConnectionLayer {
    Limit(ConnectionLimitLayer),
    Proxy(ProxyProtocolLayer),
}

impl Setup {
    fn new() -> Self {
        Self {
            limits: Limits::default(),
            http2: Http2Limits::default(),
            shutdown: Some(Duration::from_secs(30)),
            endpoint: Vec::new(),
            app: Router::new()
                .route("/", any(async || "hello"))
                .route("/echo", post(async |body: Bytes| body)),
        }
    }

    fn limits(mut self, set: impl FnOnce(Limits) -> Limits) -> Self {
        self.limits = set(self.limits);
        self
    }

    fn http2(mut self, set: impl FnOnce(Http2Limits) -> Http2Limits) -> Self {
        self.http2 = set(self.http2);
        self
    }

    fn app(mut self, set: impl FnOnce(Router) -> Router) -> Self {
        self.app = set(self.app);
        self
    }

    fn connection(mut self, layer: ConnectionLayer) -> Self {
        self.endpoint.push(layer);
        self
    }

    fn start(self, under_axum: bool) -> Result<TestServer, Error> {
        let limits = self.limits.http2(self.http2);
        limits.check()?;
        let mut server = TestServer::builder(self.app).limits(limits).with_shutdown_timeout(self.shutdown);
        for layer in self.endpoint {
            server = match layer {
                ConnectionLayer::Limit(layer) => server.layer(layer),
                ConnectionLayer::Proxy(layer) => server.layer(layer),
            };
        }
        Ok(if under_axum { server.start_under_axum() } else { server.start() })
    }
}

type Set = fn(Setup, Value) -> Setup;

/// Each option that is a number or a time, by the name that an error about it has.
#[rustfmt::skip]
const OPTIONS: &[(&str, Set)] = &[
    ("max_concurrent_connections", |s, v| s.limits(|l| l.max_concurrent_connections(v.size()))),
    ("max_concurrent_upgraded_connections", |s, v| s.limits(|l| l.max_concurrent_upgraded_connections(v.size()))),
    ("max_request_line_size", |s, v| s.limits(|l| l.max_request_line_size(v.size()))),
    ("max_request_line_size", |s, v| s.limits(|l| l.max_request_line_size(v.size()).max_request_buffer_size(None))),
    ("max_request_headers_total_size", |s, v| s.limits(|l| l.max_request_headers_total_size(v.size()))),
    ("max_request_headers_total_size", |s, v| {
        s.limits(|l| l.max_request_headers_total_size(v.size()).max_request_buffer_size(None))
    }),
    ("max_request_header_count", |s, v| s.limits(|l| l.max_request_header_count(v.size()))),
    ("max_request_body_size", |s, v| s.limits(|l| l.max_request_body_size(v.number()))),
    ("max_request_buffer_size", |s, v| s.limits(|l| l.max_request_buffer_size(v.size()))),
    ("max_request_buffer_size", |s, v| {
        s.limits(|l| l.max_request_line_size(100).max_request_headers_total_size(400).max_request_buffer_size(v.size()))
    }),
    ("max_response_buffer_size", |s, v| s.limits(|l| l.max_response_buffer_size(v.size()))),
    ("keep_alive_timeout", |s, v| s.limits(|l| l.keep_alive_timeout(v.time()))),
    ("request_headers_timeout", |s, v| s.limits(|l| l.request_headers_timeout(v.time()))),
    ("min_request_body_data_rate", |s, v| s.limits(|l| l.min_request_body_data_rate(v.rate()))),
    ("min_response_data_rate", |s, v| s.limits(|l| l.min_response_data_rate(v.rate()))),
    ("max_streams_per_connection", |s, v| s.http2(|l| l.max_streams_per_connection(v.word()))),
    ("header_table_size", |s, v| s.http2(|l| l.header_table_size(v.word().unwrap_or(4096)))),
    ("max_frame_size", |s, v| s.http2(|l| l.max_frame_size(v.word().unwrap_or(16_384)))),
    ("max_request_header_field_size", |s, v| s.http2(|l| l.max_request_header_field_size(v.word()))),
    ("initial_connection_window_size", |s, v| {
        s.http2(|l| l.initial_connection_window_size(v.word().unwrap_or(65_535)))
    }),
    ("initial_stream_window_size", |s, v| s.http2(|l| l.initial_stream_window_size(v.word().unwrap_or(65_535)))),
    ("keep_alive_ping_delay", |s, v| s.http2(|l| l.keep_alive_ping_delay(v.time()))),
    ("keep_alive_ping_timeout", |s, v| s.http2(|l| l.keep_alive_ping_timeout(v.time()))),
    ("keep_alive_ping_timeout", |s, v| {
        s.http2(|l| l.keep_alive_ping_delay(Duration::from_secs(1)).keep_alive_ping_timeout(v.time()))
    }),
    ("shutdown_timeout", |mut s, v| { s.shutdown = v.time(); s }),
    ("ConnectionLimitLayer", |s, v| s.connection(ConnectionLayer::Limit(ConnectionLimitLayer::new(v.size())))),
    ("MaxRequestBodySizeLayer", |s, v| s.app(|app| app.layer(MaxRequestBodySizeLayer::new(v.number())))),
    ("MinRequestBodyDataRateLayer", |s, v| s.app(|app| app.layer(MinRequestBodyDataRateLayer::new(v.rate())))),
    ("MinResponseDataRateLayer", |s, v| s.app(|app| app.layer(MinResponseDataRateLayer::new(v.rate())))),
    ("max_form_size", |s, v| {
        let layer = HttpMethodOverrideLayer::form_field("method").max_form_size(v.size().unwrap_or(usize::MAX));
        s.app(|app| app.layer(layer))
    }),
    ("forward_limit", |s, v| {
        s.app(|app| app.layer(ForwardedHeadersLayer::new(ForwardedHeaders::ALL).forward_limit(v.size())))
    }),
    ("max_age", |s, v| s.app(|app| app.layer(HstsLayer::new().max_age(v.time().unwrap_or_default())))),
    ("RequestLimits", |s, v| {
        let set = async move |Extension(value): Extension<Value>, limits: RequestLimits, body: Body| {
            limits.set_max_request_body_size(value.number())?;
            limits.set_min_request_body_data_rate(value.rate())?;
            limits.set_min_response_data_rate(value.rate())?;
            Ok::<_, kestrel_rs::request::LimitError>(body)
        };
        s.app(|_| Router::new().route("/", any(set)).route("/echo", any(set)).layer(Extension(v)))
    }),
];

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Panics of this thread from here on, those that a task or a layer has caught too. All that these tests
/// start is on one thread.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            before(panic);
        }));
    });
    PANICS.set(0);
}

/// The statuses of a GET and a POST over each version; `None` where a client got none.
async fn ask(server: &TestServer) -> Vec<Option<StatusCode>> {
    let mut statuses = Vec::new();
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for (method, target) in [("GET", "/"), ("POST", "/echo")] {
            let request = Request::builder().method(method).uri(target).version(version);
            // Neither a form nor forwarded is any other request.
            let request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .header("x-forwarded-for", "192.0.2.1, 192.0.2.2");
            let body = if method == "GET" {
                Body::empty()
            } else {
                Body::from(format!("method=POST&text={}", "a".repeat(20_000)))
            };
            let answer = timeout(HOUR, server.request(request.body(body).unwrap())).await;
            let answer = answer.expect("neither an answer nor an end");
            statuses.push(answer.ok().map(|response| response.status()));
        }
    }
    statuses
}

/// Starts the server, asks it, and stops it; what it answered, or why it did not start.
#[track_caller]
fn outcome(setup: Setup, under_axum: bool, what: &dyn Debug) -> Result<Vec<Option<StatusCode>>, Error> {
    count_panics();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let outcome = runtime.block_on(async {
        let mut server = setup.start(under_axum)?;
        let statuses = ask(&server).await;
        server.stop();
        timeout(HOUR, server.stopped()).await.expect("no end");
        Ok(statuses)
    });
    assert_eq!(PANICS.get(), 0, "{what:?}: something panicked");
    outcome
}

#[test]
fn any_value_of_an_option_is_refused_or_served() {
    let mut refused = 0;
    for (name, set) in OPTIONS {
        for (value, under_axum) in (0..VALUES).map(Value).flat_map(|value| [(value, false), (value, true)]) {
            let what = (name, value.number(), value.time(), under_axum);
            match outcome(set(Setup::new(), value), under_axum, &what) {
                Err(error) => {
                    refused += 1;
                    let text = error.to_string();
                    let given = |value: &str| !value.is_empty() && text.contains(value);
                    let named = value.number().is_some_and(|number| given(&number.to_string()))
                        || value.word().is_some_and(|word| given(&word.to_string()))
                        || value.time().is_some_and(|time| given(&format!("{time:?}")))
                        || given("None");
                    assert!(error.is_option() && text.contains(name) && named, "{what:?}: {text}");
                }
                Ok(statuses) => {
                    // What is large, and what is unlimited, hinders nobody.
                    let large = value.number().is_none_or(|number| number >= 1 << 20)
                        && value.time().is_none_or(|time| time > HOUR);
                    let fine = statuses.iter().all(|status| *status == Some(StatusCode::OK));
                    // The handles of a request come from the layers that `serve` adds.
                    let without_layers = under_axum && *name == "RequestLimits";
                    assert!(fine || !large || without_layers, "{what:?}: {statuses:?}");
                }
            }
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn any_values_of_several_options_are_refused_or_served() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut served = 0;
    for _ in 0..1000 {
        let mut setup = Setup::new();
        let mut what = Vec::new();
        for _ in 0..=next(6) {
            let ((name, set), value) = (OPTIONS[next(OPTIONS.len())], Value(next(VALUES)));
            what.push((name, value.number(), value.time()));
            setup = set(setup, value);
        }
        served += usize::from(outcome(setup, next(2) == 0, &what).is_ok());
    }
    assert!(served > 200, "{served}");
}

#[test]
fn any_time_for_a_proxy_header_is_kept() {
    for value in (0..=TIMES.len()).map(Value) {
        count_panics();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let layer = ProxyProtocolLayer::trusting(["0.0.0.0/0"]).unwrap().timeout(value.time());
        runtime.block_on(async {
            let server = Setup::new().connection(ConnectionLayer::Proxy(layer)).start(false).unwrap();
            let mut connection = server.connect().await.unwrap();
            // A peer that is slow to say who it is gets nothing.
            let read = timeout(HOUR, connection.read_to_end()).await;
            assert_eq!(read.is_err(), value.time().is_none_or(|time| time > HOUR), "{:?}", value.time());
        });
        assert_eq!(PANICS.get(), 0, "{:?}: something panicked", value.time());
    }
}

#[tokio::test]
async fn any_options_of_sockets_are_refused_or_served() {
    count_panics();
    for backlog in (0..VALUES).map(Value) {
        for keepalive in (0..=TIMES.len()).map(Value) {
            let options =
                SocketOptions::default().backlog(backlog.word().unwrap_or(512)).keepalive(keepalive.time());
            let endpoint = Endpoint::ip(([127, 0, 0, 1], 0)).socket_options(options);
            match KestrelListener::builder().endpoint(endpoint).bind().await {
                Err(error) => {
                    let text = error.to_string();
                    let value = format!("{:?}", keepalive.time().unwrap());
                    assert!(
                        error.is_option() && text.contains("keepalive") && text.contains(&value),
                        "{text}"
                    );
                }
                Ok(_) => assert!(keepalive.time().is_none_or(|time| time >= Duration::from_secs(1))),
            }
        }
    }
    assert_eq!(PANICS.get(), 0);
}
