//! What of a request is taken or refused, and what the application sees of it.
//!
//! Each case is a request of its own on a connection of its own; a handler for every path notes what
//! it saw. Kestrel shows the path decoded and axum as it was sent, so the test decodes it
//! ([`decoded`]); nothing else is evened out.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use http_body_util::BodyExt;
use kestrel_rs::Limits;
use kestrel_rs::connection::BoxIo;
use kestrel_rs::limits::HeaderValues;
use kestrel_rs::test::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::differences::{HEADERS, TARGETS, TRAILERS};
use crate::http::answers;
use crate::recording::{Case, cases, from_latin1, octets};
use crate::table::{Difference, Different, Outcome, Report, check};

#[tokio::test]
async fn request_targets_are_taken_as_kestrel_takes_them() {
    replay("facts/request-targets.json", TARGETS, "", |case| {
        let hosts = case.input["hosts"].as_array().into_iter().flatten();
        let lines: Vec<u8> = hosts.flat_map(|host| [b"Host: ", &*octets(host), b"\r\n"].concat()).collect();
        Some(Exchange {
            request: [
                &*octets(&case.input["method"]),
                b" ",
                &*octets(&case.input["target"]),
                b" ",
                &*octets(&case.input["version"]),
                b"\r\n",
                &lines,
                b"Connection: close\r\n\r\n",
            ]
            .concat(),
            host_override: case.input["allow_host_override"] == true,
            ..Exchange::default()
        })
    })
    .await;
}

#[tokio::test]
async fn hosts_are_taken_as_kestrel_takes_them() {
    replay("facts/hosts.json", &[], "", |case| {
        let (version, lines) = (octets(&case.input["version"]), octets(&case.input["header_lines"]));
        Some(Exchange {
            request: [b"GET / ", &*version, b"\r\n", &lines, b"Connection: close\r\n\r\n"].concat(),
            ..Exchange::default()
        })
    })
    .await;
}

#[tokio::test]
async fn header_lines_are_taken_as_kestrel_takes_them() {
    replay("facts/header-names-values.json", HEADERS, "request.", |case| {
        let lines = octets(&case.input["header_lines"]);
        Some(Exchange {
            request: [b"GET / HTTP/1.1\r\nHost: a\r\n", &*lines, b"Connection: close\r\n\r\n"].concat(),
            values: Values::of(case)?,
            ..Exchange::default()
        })
    })
    .await;
}

#[tokio::test]
async fn trailers_are_taken_as_kestrel_takes_them() {
    const HEAD: &[u8] = b"GET /request-trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    replay("facts/header-names-values.json", TRAILERS, "request-trailer.", |case| {
        let lines = octets(&case.input["trailer_lines"]);
        Some(Exchange {
            request: [HEAD, b"1\r\nx\r\n0\r\n", &lines, b"\r\n"].concat(),
            values: Values::of(case)?,
            ..Exchange::default()
        })
    })
    .await;
}

#[tokio::test]
async fn methods_are_taken_as_kestrel_takes_them() {
    replay("facts/known-methods-status.json", &[], "method.", |case| {
        let version = case.input["version"].as_str().unwrap_or("HTTP/1.1");
        let line = [&*octets(&case.input["method"]), b" / ", version.as_bytes()].concat();
        Some(Exchange {
            request: [&*line, b"\r\nHost: a\r\nConnection: close\r\n\r\n"].concat(),
            ..Exchange::default()
        })
    })
    .await;
}

/// One request, and what the server has to be like for it.
#[derive(Default)]
struct Exchange {
    request: Vec<u8>,
    values: Values,
    host_override: bool,
}

/// How octets above 0x7F in a header value are read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Values {
    #[default]
    Utf8,
    Latin1,
}

impl Values {
    /// `None` for an encoding that we have no switch for.
    fn of(case: &Case) -> Option<Self> {
        match case.input["encoding"].as_str() {
            None => Some(Self::Utf8),
            Some("latin1") => Some(Self::Latin1),
            Some(_) => None,
        }
    }

    fn decode(self, octets: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(octets).into_owned(),
            Self::Latin1 => from_latin1(octets),
        }
    }
}

/// Replays the cases of `file` whose id begins with `group`; `exchange` makes a request of a case, or `None` where we
/// have no such option.
async fn replay(
    file: &'static str,
    table: &'static [Difference],
    group: &str,
    exchange: impl Fn(&Case) -> Option<Exchange>,
) {
    let servers = Servers::start();
    let is_another = servers.ordinary.seen.is_none();
    let mut report = Report::new(file, table);
    if is_another {
        report = report.uncounted();
    }
    for case in cases(file).iter().filter(|case| case.id.starts_with(group)) {
        let outcome = match exchange(case) {
            // A server that runs already has no options of ours.
            Some(exchange) if exchange.has_options() && is_another => continue,
            Some(exchange) => servers.serving(&exchange).judge(case, &exchange).await,
            None => Err("no such option here".into()),
        };
        report.note(case, outcome);
    }
    report.finish();
}

impl Exchange {
    fn has_options(&self) -> bool {
        self.host_override || self.values != Values::default()
    }
}

/// A server for each option that a case may have.
struct Servers {
    ordinary: Server,
    octets: Server,
    host_override: Server,
}

impl Servers {
    fn start() -> Self {
        Self {
            ordinary: Server::start(Limits::default()),
            octets: Server::start(Limits::default().header_values(HeaderValues::Octets)),
            host_override: Server::start(Limits::default().allow_host_header_override()),
        }
    }

    fn serving(&self, exchange: &Exchange) -> &Server {
        match exchange {
            Exchange { host_override: true, .. } => &self.host_override,
            Exchange { values: Values::Latin1, .. } => &self.octets,
            _ => &self.ordinary,
        }
    }
}

/// A server to connect to, and what its handler saw last.
struct Server {
    connect: Box<dyn Fn() -> Connecting>,
    /// `None`: not our handler.
    seen: Option<LastSeen>,
}

type Connecting = Pin<Box<dyn Future<Output = BoxIo>>>;

type LastSeen = Arc<Mutex<Option<Seen>>>;

/// What a handler saw of a request.
#[derive(Debug)]
struct Seen {
    method: String,
    uri: Uri,
    headers: HeaderMap,
    body_length: usize,
    trailers: HeaderMap,
}

impl Server {
    fn start(limits: Limits) -> Self {
        if let Ok(target) = std::env::var("KESTREL_FACTS_TARGET") {
            let address: SocketAddr = target.parse().expect("KESTREL_FACTS_TARGET is an address and a port");
            let connect = move || -> Connecting {
                Box::pin(async move { BoxIo::new(TcpStream::connect(address).await.expect("it listens")) })
            };
            return Self { connect: Box::new(connect), seen: None };
        }
        Self::in_memory(limits)
    }

    fn in_memory(limits: Limits) -> Self {
        let seen = LastSeen::default();
        let app: Router = Router::new().fallback(note).with_state(Arc::clone(&seen));
        let server = Arc::new(TestServer::builder(app).limits(limits).start());
        let connect = move || -> Connecting {
            let server = Arc::clone(&server);
            Box::pin(async move { BoxIo::new(server.connect().await.expect("a server in memory listens")) })
        };
        Self { connect: Box::new(connect), seen: Some(seen) }
    }

    async fn judge(&self, case: &Case, exchange: &Exchange) -> Outcome {
        let answer = self.exchange(&exchange.request).await;
        let answers = answers(&answer, &[exchange.request.starts_with(b"HEAD ")]);
        let status = answers.first().map_or(0, |answer| answer.status);
        let recorded = &case.output["status"];
        let Some(seen) = &self.seen else {
            // Another application: its router has an opinion on paths, and wants GET.
            let allow = answers.first().and_then(|answer| answer.header("allow"));
            let routed = status == 404 || (status == 405 && allow == Some("GET"));
            let status = if routed { 200 } else { status };
            return check(*recorded == status, || status);
        };
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match seen {
            Some(seen) if status == 200 => {
                let here = seen.shown(exchange.values);
                let wrong =
                    if *recorded == 200 { seen.judge(case, &here) } else { Some("status".to_owned()) };
                match wrong {
                    Some(what) => Err(Different::new(format!("{what}, recorded {}", case.output), here)),
                    None => Ok(()),
                }
            }
            _ => check(*recorded == status, || status),
        }
    }

    /// Sends a request and reads until the server closes.
    async fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut io = (self.connect)().await;
        let mut answer = Vec::new();
        let both = async {
            _ = io.write_all(request).await; // the server may refuse before it has read everything
            _ = io.read_to_end(&mut answer).await;
        };
        _ = tokio::time::timeout(Duration::from_secs(5), both).await;
        answer
    }
}

/// The application: takes every request and notes what it saw.
async fn note(State(last): State<LastSeen>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return StatusCode::BAD_REQUEST };
    let trailers = body.trailers().cloned().unwrap_or_default();
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
        method: parts.method.to_string(),
        uri: parts.uri,
        headers: parts.headers,
        body_length: body.to_bytes().len(),
        trailers,
    });
    StatusCode::OK
}

impl Seen {
    /// In the form of the recording.
    fn shown(&self, values: Values) -> Value {
        let others = [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING];
        let headers = self.headers.iter().filter(|(name, _)| !others.contains(name));
        json!({
            "status": 200,
            "method": self.method,
            "path": self.path(),
            "query": self.uri.query().map(|query| format!("?{query}")).unwrap_or_default(),
            "host": self.headers.get(header::HOST).map(|host| values.decode(host.as_bytes())).unwrap_or_default(),
            "headers": lines(headers, values),
            "body_length": self.body_length,
            "trailers": lines(self.trailers.iter(), values),
        })
    }

    /// What a handler on Kestrel saw otherwise; a field that was not recorded was not looked at, or was as sent.
    fn judge(&self, case: &Case, here: &Value) -> Option<String> {
        let output = &case.output;
        let length = |name: &str| here[name].as_str().map(|text| text.encode_utf16().count());
        for (name, length) in [
            ("path_length", length("path")),
            ("query_length", length("query")),
            ("method_length", length("method")),
            ("body_length", Some(self.body_length)),
        ] {
            if output[name].is_u64() && output[name].as_u64() != length.map(|length| length as u64) {
                return Some(name.to_owned());
            }
        }
        let method = output["method"].as_str().or(case.input["method"].as_str());
        let or_null = |text: Option<String>| text.map_or(Value::Null, Value::String);
        let fields = |value: &Value| if value.is_array() { json!(fields(value)) } else { Value::Null };
        let recorded = [
            ("path", output["path"].clone()),
            ("query", output["query"].clone()),
            ("method", or_null(method.map(str::to_owned))),
            ("host", or_null(Self::host(case))),
            ("headers", fields(&output["headers"])),
            ("trailers", fields(&output["trailers"])),
        ];
        let mut recorded = recorded.into_iter().filter(|(_, value)| !value.is_null());
        recorded.find(|(name, value)| here[name] != *value).map(|(name, _)| name.to_owned())
    }

    fn path(&self) -> String {
        // The asterisk form has no path; `Uri` calls the asterisk one.
        if self.uri == *"*" { String::new() } else { decoded(self.uri.path()) }
    }

    /// The host that Kestrel showed, where a case is about it.
    fn host(case: &Case) -> Option<String> {
        let sent = || Some(case.input["hosts"].as_array()?.first().map(octets).unwrap_or_default());
        let shown = case.output["host"].as_str().map(str::to_owned);
        shown.or_else(|| sent().map(|sent| from_latin1(&sent)))
    }
}

/// A path as Kestrel shows it: percent-decoded where that is UTF-8, but for `%2F`.
pub(crate) fn decoded(path: &str) -> String {
    let mut rest = path;
    let mut text = String::new();
    while let Some(c) = rest.chars().next() {
        let (c, length) = encoded_char(rest).unwrap_or((c, c.len_utf8()));
        text.push(c);
        rest = &rest[length..];
    }
    text
}

/// The character that `text` begins with in percent-encoding, and the length of that.
fn encoded_char(text: &str) -> Option<(char, usize)> {
    let octet = |i: usize| {
        let digits = text.get(3 * i..3 * i + 3)?.strip_prefix('%')?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex { u8::from_str_radix(digits, 16).ok() } else { None }
    };
    let mut octets = Vec::new();
    while octets.len() < 4 {
        octets.push(octet(octets.len())?);
        if let Ok(text) = std::str::from_utf8(&octets) {
            let c = text.chars().next()?;
            return (c != '/').then_some((c, 3 * octets.len()));
        }
    }
    None
}

/// Recorded `[name, [values]]`, as sorted lines: names have no case here.
fn fields(recorded: &Value) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for field in recorded.as_array().into_iter().flatten() {
        let name = field[0].as_str().unwrap_or_default().to_ascii_lowercase();
        for value in field[1].as_array().into_iter().flatten() {
            lines.push((name.clone(), value.as_str().unwrap_or_default().to_owned()));
        }
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b)); // stable: the order of values counts
    lines
}

fn lines<'a>(
    fields: impl Iterator<Item = (&'a header::HeaderName, &'a header::HeaderValue)>,
    values: Values,
) -> Vec<(String, String)> {
    let mut lines: Vec<_> =
        fields.map(|(name, value)| (name.to_string(), values.decode(value.as_bytes()))).collect();
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines
}
