//! Where kestrel-rs differs from the recordings, and why: the one table of it.

use serde_json::Value;

/// Recorded cases that come out otherwise here.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The file, relative to the folder of the recordings.
    pub(crate) recording: &'static str,
    /// An id; one `*` in it stands for any text.
    pub(crate) cases: &'static str,
    /// How many cases this is the first row for.
    pub(crate) count: usize,
    /// A row of docs/STRICTNESS.md, or why in a few words.
    pub(crate) reason: &'static str,
    /// What else must hold of the case's input.
    when: fn(&Value) -> bool,
    /// Some of the cases may agree, as time falls.
    pub(crate) at_most: bool,
    /// How it comes out here: what the test says of it; each `*` stands for any text.
    how: &'static str,
}

impl Difference {
    /// Whether a case that comes out otherwise does so in the way that the row says.
    pub(crate) fn covers(&self, id: &str, input: &Value, what: &str) -> bool {
        self.names(id, input) && is_like(self.how, what)
    }

    /// Whether the row itself says how its cases come out.
    pub(crate) fn says_how(&self) -> bool {
        self.how != "*"
    }

    const fn how(mut self, how: &'static str) -> Self {
        self.how = how;
        self
    }

    const fn at_most(mut self) -> Self {
        self.at_most = true;
        self
    }

    fn names(&self, id: &str, input: &Value) -> bool {
        let named = match self.cases.split_once('*') {
            Some((before, after)) => {
                id.len() >= before.len() + after.len() && id.starts_with(before) && id.ends_with(after)
            }
            None => id == self.cases,
        };
        named && (self.when)(input)
    }
}

#[rustfmt::skip]
pub(crate) const DIFFERENCES: &[Difference] = &[
    row(PROBES, "response.trailers",                              1, "beyond Kestrel: trailers on HTTP/1.1 for whoever asks by `TE: trailers`"),
    row(PROBES, "request-line.connect-path",                       1, "axum names HEAD too where there is a GET").how(r#"*here 405 {"allow": ["GET,HEAD"], *open"#),
    row(PROBES, "request-line.fragment",                           1, "fragment-in-target"),
    row(PROBES, "headers.bad-name-char",                           1, "field-name-token"),
    row(PROBES, "headers.ctl-in-value",                            1, "field-value-control"),
    row(PROBES, "content-length.plus",                             1, "content-length-digits"),
    row(PROBES, "chunked.chunked-twice",                           1, "chunked-twice"),
    row(PROBES, "chunked.two-headers",                             1, "chunked-twice"),
    row(PROBES, "chunked.size-overflow",                           1, "chunk-size-overflow"),
    row(PROBES, "chunked.size-i32-overflow",                       1, "chunk-size-overflow"),
    row(PROBES, "upgrade.http10",                                  1, "http10-upgrade"),

    row(LIMITS, "min-data-rate.rate.NaN",                          1, "not-a-number would switch the check off without a word"),
    row(LIMITS, "start.protocols.*",                               5, "cleartext with both speaks both, by preface; no protocol and HTTP/3 cannot be said"),
    row(LIMITS, "defaults.KestrelServerOptions",                   1, "each of its options is a layer or a feature of its own, or none"),
    row(LIMITS, "defaults-default-builder.KestrelServerOptions",   1, "each of its options is a layer or a feature of its own, or none"),
    row(LIMITS, "set.KestrelServerOptions.AllowAlternateSchemes.*",            2, "the scheme of a request is that of its connection, whatever it says"),
    row(LIMITS, "set.KestrelServerOptions.AllowResponseHeaderCompression.*",   2, "h2 compresses headers, always"),
    row(LIMITS, "set.KestrelServerOptions.DisableStringReuse.*",               2, "strings are not kept from one request to the next"),
    row(LIMITS, "set.KestrelServerOptions.ResponseHeaderEncodingSelector.*",   1, "a HeaderValue has its octets"),
    row(LIMITS, "set.KestrelServerOptions.*.null",                 1, NULL),
    row(LIMITS, "set.Http3Limits.*",                              20, NO_HTTP3),
    row(LIMITS, "defaults.QuicTransportOptions",                   1, NO_HTTP3),
    row(LIMITS, "defaults-default-builder.QuicTransportOptions",   1, NO_HTTP3),
    row(LIMITS, "set.QuicTransportOptions.*",                     89, NO_HTTP3),
    row(LIMITS, "set.HttpsConnectionAdapterOptions.CheckCertificateRevocation.*", 2, "revocation is looked up by whoever wants to, in ClientTrust::also"),
    row(LIMITS, "set.HttpsConnectionAdapterOptions.ClientCertificateMode.*",   1, TYPE),
    row(LIMITS, "set.HttpsConnectionAdapterOptions.SslProtocols.*",            4, "rustls has TLS 1.2 and 1.3 only"),
    row(LIMITS, "set.HttpsConnectionAdapterOptions.*.null",        6, NULL),
    row(LIMITS, "set.TlsHandshakeCallbackOptions.*.null",          2, NULL),
    row(LIMITS, "set.SocketTransportOptions.Backlog.-*",           3, TYPE),
    row(LIMITS, "set.SocketTransportOptions.*",                   41, RUNTIME),
    row(LIMITS, "defaults.SocketConnectionFactoryOptions",         1, RUNTIME),
    row(LIMITS, "set.SocketConnectionFactoryOptions.*",           46, RUNTIME),
    row(LIMITS, "defaults.NamedPipeTransportOptions",              1, "named pipes are of Windows"),
    row(LIMITS, "set.NamedPipeTransportOptions.*",                43, "named pipes are of Windows"),
    row(LIMITS, "defaults.ListenOptions",                          1, "an endpoint is opaque: its tests are in tests/it"),
    row(LIMITS, "set.HostFilteringOptions.*.null",                 1, NULL),
    row(LIMITS, "set.ForwardedHeadersOptions.ForwardLimit.-*",     2, TYPE),
    row(LIMITS, "set.ForwardedHeadersOptions.ForwardedHeaders.*",  2, TYPE),
    row(LIMITS, "set.ForwardedHeadersOptions.*.null",              9, NULL),
    row(LIMITS, "set.ForwardedHeadersOptions.*",                  15, "no header has this name"),
    row(LIMITS, "set.HstsOptions.MaxAge.*",                        3, TYPE),
    row(LIMITS, "set.HttpsRedirectionOptions.HttpsPort.*",        11, "a port is a number from 1 to 65535"),
    row(LIMITS, "set.HttpsRedirectionOptions.RedirectStatusCode.*",   18, "a redirect has the status 301, 302, 303, 307 or 308"),
    row(LIMITS, "defaults.HostOptions",                            1, HOST),
    row(LIMITS, "defaults-default-builder.HostOptions",            1, HOST),
    row(LIMITS, "set.HostOptions.ShutdownTimeout.-*",              3, TYPE),
    row(LIMITS, "set.HostOptions.*",                              27, HOST),
    row(LIMITS, "call.*",                                          1, TYPE),

    rule(TARGETS, "*",             13, "fragment-in-target", has_fragment),
    rule(TARGETS, "*",             29, "absolute-form-case", differs_in_case),
    rule(TARGETS, "*",             9, "absolute-form-path", decodes_more),
    rule(TARGETS, "*",             94, "target-octets", is_no_uri),
    rule(TARGETS, "absolute-*",    1, "text behind the brackets of an address is no authority", has_text_behind_brackets),
    rule(TARGETS, "absolute-*",    1, "absolute-form-case: a Host spelled as in the target is that host", is_spelled_alike),

    row(HEADERS, "request.value-ascii.*",                         117, NO_ASCII),
    row(HEADERS, "request.encoded.*-ascii",                        18, NO_ASCII),
    row(HEADERS, "request.name-*",                                134, "field-name-token"),
    row(HEADERS, "request.value-start.*",                          22, "field-value-control"),
    row(HEADERS, "request.value-middle.*",                         21, "field-value-control"),
    row(HEADERS, "request.value-end.*",                            19, "field-value-control"),
    row(HEADERS, "request.value-latin1.*",                         22, "field-value-control"),
    row(HEADERS, "request.space.*",                                 4, "field-value-control"),
    row(HEADERS, "request.content-length.02",                       1, "a field is shown as it was sent"),
    row(HEADERS, "request.content-length.03",                       1, "content-length-digits"),
    row(HEADERS, "request.content-length.04",                       1, "content-length-digits"),
    row(HEADERS, "request-trailer.name-middle.*",                  33, "field-name-token"),
    row(HEADERS, "request-trailer.line.03",                         1, "a trailer without a value is shown"),
    row(HEADERS, "request-trailer.line.15",                         1, "request-trailer-utf8"),
    row(HEADERS, "request-trailer.value-middle.0*",                12, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.1*",                11, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.7f",                 1, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.*",                 98, "request-trailer-utf8"),

    row(HTTP2, "pseudo.path-twice",                 1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "pseudo.status",                     1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "pseudo.after-regular",              1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "field.connection",                  1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "field.te-gzip",                     1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "field.value-latin1",                1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "body.length-text",                  1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "trailers.no-end-stream",            1, "malformed-request-scope").how(STREAM),
    row(HTTP2, "field.transfer-encoding",           1, "h2-connection-fields").how(STREAM),
    row(HTTP2, "hpack.index-*",                     2, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "hpack.integer-too-long",            1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "hpack.string-cut",                  1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "hpack.huffman-eos",                 1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "hpack.table-update-*",              2, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "pseudo.method-*",                   2, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "field.name-space",                  1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "settings.ack-unasked",              1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(HTTP2, "window.after-client-rst",           1, "h2-library-code").how("*here 3=200 open"),
    row(HTTP2, "body.unread-late",                  1, "h2-library-code").how("*here 1=200+NO_ERROR open"),
    row(HTTP2, "trailers.pseudo",                   1, "h2-library-code").how("*here 1=200 open"),
    row(HTTP2, "flow.upload-over-stream-window",    1, "h2-library-code").how("*here 1=FLOW_CONTROL_ERROR open"),
    row(HTTP2, "limit.total-33k",                   1, "the 431 of the h2 crate says no length").how("*here 1=431 3=200 open"),
    row(HTTP2, "limit.total-66k",                   1, "headers-far-over").how("*here 1=431 open"),
    row(HTTP2, "hpack.field-32769",                 1, "field-too-large").how("*here 1=431 open"),
    row(HTTP2, "hpack.bomb",                        1, "h2-empty-frames").how("*here GOAWAY(0,ENHANCE_YOUR_CALM) closed"),
    row(HTTP2, "continuation.each-octet",           1, "h2-empty-frames").how("*here GOAWAY(0,ENHANCE_YOUR_CALM) closed"),
    row(HTTP2, "flood.empty-*",                     2, "h2-empty-frames").how("*here GOAWAY(*,ENHANCE_YOUR_CALM) closed"),
    row(HTTP2, "flood.rapid-reset-*",               3, "h2-resets").how("*ENHANCE_YOUR_CALM) closed"),
    row(HTTP2, "path.query-*",                      2, "target-octets").how(STREAM),
    row(HTTP2, "timeout.body-stalled",              1, "stream-rate").how("*here 1=408+NO_ERROR *closed"),
    row(HTTP2, "timeout.body-slow",                 1, "stream-rate").how("*here 1=408+NO_ERROR *closed"),
    row(HTTP2, "timeout.body-route-rate",           1, "stream-rate").how("*here 1=200 open"),
    row(HTTP2, "timeout.response-stalled",          1, "stream-rate").how("*here 1=200(cut)+CANCEL *"),
    row(HTTP2, "goaway.of-server-new-stream",       1, "h2-stop").how("*here 1=200 GOAWAY(2147483647,NO_ERROR) GOAWAY(1,NO_ERROR) closed"),
    row(HTTP2, "response.reset-after-complete",     1, "a reset that the handler asks for before its body has ended cuts the body").how("*here 1=200(cut)+NO_ERROR open"),
    row(HTTP2, "settings.table-0",                  1, "axum writes no charset behind application/json, and says the length").how("*here 1=200 3=200 open"),

    row(SMALL, "field.*-1025",                      6, "field-too-large").how("*here 1=431 open"),
    row(SMALL, "field.huffman-coded-1024",          1, "field-too-large").how("*here 1=431 open"),
    row(SMALL, "hpack.reference-in-the-*",          2, "h2-library-code").how("*=200 open"),
    row(SMALL, "hpack.table-update-1",              1, "h2-library-code").how("*here GOAWAY(0,PROTOCOL_ERROR) closed"),
    row(SMALL, "hpack.client-table-4096",           1, "axum writes no charset behind application/json, and says the length").how("*here 1=200 3-5=200 open"),
    row(SMALL, "settings.of-server*",               2, "h2 says a window of 65,535, and tells no window of the connection that is little larger").how("*open"),
    row(SMALL, "flow.connection-window-full",       1, "h2 tells no window of the connection that is little larger than 65,535").how("*here GOAWAY(3,FLOW_CONTROL_ERROR) closed"),
    row(SMALL, "streams.reset-101-running",         1, "h2-resets").how("*here pong open"),
    row(SMALL, "streams.reset-frees-a-place",       1, "what is answered before its reset is read is answered").how("*here 3=200 5=200 open").at_most(),
];

const HTTP2: &str = "http2/recorded.json";
const SMALL: &str = "http2/small.recorded.json";
/// One request is refused, the connection lives.
const STREAM: &str = "*here 1=PROTOCOL_ERROR open";

const PROBES: &str = "http1/recorded.json";
const TARGETS: &str = "facts/request-targets.json";
const HEADERS: &str = "facts/header-names-values.json";
const LIMITS: &str = "facts/limits.json";

const HOST: &str = "the host, not the server; the time for shutdown is with_shutdown_timeout";
const NO_HTTP3: &str = "HTTP/3 is not built";
const NULL: &str = "what is not given is a method that is not called";
const RUNTIME: &str = "the runtime and the engines have the buffers and the queues";
const TYPE: &str = "the type has no such value";
const NO_ASCII: &str = "no option refuses UTF-8: a value is read as ASCII by `HeaderValue::to_str`";

/// A row in one line.
const fn row(recording: &'static str, cases: &'static str, count: usize, reason: &'static str) -> Difference {
    rule(recording, cases, count, reason, |_| true)
}

/// A row for those of the cases whose input is of a kind.
const fn rule(
    recording: &'static str,
    cases: &'static str,
    count: usize,
    reason: &'static str,
    when: fn(&Value) -> bool,
) -> Difference {
    Difference { recording, cases, count, reason, when, at_most: false, how: "*" }
}

/// Whether `text` is of the form of `pattern`, in which each `*` stands for any text.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    true
}

fn target(input: &Value) -> &str {
    input["target"].as_str().unwrap_or_default()
}

fn has_fragment(input: &Value) -> bool {
    target(input).contains('#')
}

/// What Kestrel compares or refuses by the letter case of scheme and authority.
fn differs_in_case(input: &Value) -> bool {
    let Some((scheme, rest)) = target(input).split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = input["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known && [scheme, authority].into_iter().chain(hosts).any(|text| text.chars().any(char::is_uppercase))
}

/// What .NET's `Uri` decodes or rewrites in an absolute target and the origin form does not.
fn decodes_more(input: &Value) -> bool {
    let target = target(input).to_ascii_lowercase();
    target.contains("://") && ["%00", "%2f", "%5c", "\\"].iter().any(|octets| target.contains(octets))
}

fn is_spelled_alike(input: &Value) -> bool {
    let authority = target(input).split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
    authority.is_some() && authority == input["hosts"][0].as_str()
}

fn has_text_behind_brackets(input: &Value) -> bool {
    let (_, behind) = target(input).split_once(']').unwrap_or_default();
    !behind.is_empty() && !behind.starts_with([':', '/', '?'])
}

/// What the http crate cannot hold, or no URI has.
fn is_no_uri(input: &Value) -> bool {
    target(input).parse::<http::Uri>().is_err() || target(input).contains(|c: char| c.is_ascii_control())
}
