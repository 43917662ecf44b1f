//! Where kestrel-rs differs from the recordings, and why and how: the tables of files whose cases are told apart by their
//! ids. Other recordings have their tables beside their tests.

use serde_json::{Value, json};

use crate::facts::decoded;
use crate::recording::Case;
use crate::table::How::{Like, Such, Unsaid};
use crate::table::{Difference, How, row, rule};

#[rustfmt::skip]
pub(crate) const HTTP1: &[Difference] = &[
    row("response.trailers",                              1, "beyond Kestrel: trailers on HTTP/1.1 for whoever asks by `TE: trailers`", Like(r#"200 {"trailer": ["x-checksum"], "transfer-encoding": ["chunked"]} "hello" {"x-checksum": *}, open"#)),
    row("request-line.fragment",                           1, "fragment-in-target", Like(CLOSED_400)),
    row("headers.bad-name-char",                           1, "field-name-token", Like(CLOSED_400)),
    row("headers.ctl-in-value",                            1, "field-value-control", Like(CLOSED_400)),
    row("content-length.plus",                             1, "content-length-digits", Like(CLOSED_400)),
    row("chunked.chunked-twice",                           1, "chunked-twice", Like(CLOSED_400)),
    row("chunked.two-headers",                             1, "chunked-twice", Like(CLOSED_400)),
    row("chunked.size-overflow",                           1, "chunk-size-overflow", Like(CLOSED_400)),
    row("chunked.size-i32-overflow",                       1, "chunk-size-overflow", Like(CLOSED_400)),
    row("upgrade.http10",                                  1, "http10-upgrade", Like(r#"400 {"connection": ["close"], "content-length": ["14"], "content-type": ["text/plain"]}, closed"#)),
];

#[rustfmt::skip]
pub(crate) const LIMITS: &[Difference] = &[
    row("min-data-rate.rate.NaN",                          1, "not-a-number would switch the check off without a word", Like("refused: MinDataRate: a rate of NaN bytes a second is not above 0; *")),
    row("start.protocols.*",                               5, "cleartext with both speaks both, by preface; no protocol and HTTP/3 cannot be said", Unsaid),
    row("defaults.KestrelServerOptions",                   1, "each of its options is a layer or a feature of its own, or none", Unsaid),
    row("defaults-default-builder.KestrelServerOptions",   1, "each of its options is a layer or a feature of its own, or none", Unsaid),
    row("set.KestrelServerOptions.AllowAlternateSchemes.*",            2, "the scheme of a request is that of its connection, whatever it says", Unsaid),
    row("set.KestrelServerOptions.AllowResponseHeaderCompression.*",   2, "h2 compresses headers, always", Unsaid),
    row("set.KestrelServerOptions.DisableStringReuse.*",               2, "strings are not kept from one request to the next", Unsaid),
    row("set.KestrelServerOptions.ResponseHeaderEncodingSelector.*",   1, "a HeaderValue has its octets", Unsaid),
    row("set.KestrelServerOptions.*.null",                 1, NULL, Unsaid),
    row("set.Http3Limits.*",                              20, NO_HTTP3, Unsaid),
    row("defaults.QuicTransportOptions",                   1, NO_HTTP3, Unsaid),
    row("defaults-default-builder.QuicTransportOptions",   1, NO_HTTP3, Unsaid),
    row("set.QuicTransportOptions.*",                     89, NO_HTTP3, Unsaid),
    row("set.HttpsConnectionAdapterOptions.CheckCertificateRevocation.*", 2, "revocation is looked up by whoever wants to, in ClientTrust::also", Unsaid),
    row("set.HttpsConnectionAdapterOptions.ClientCertificateMode.*",   1, TYPE, Like("refused: no such mode")),
    row("set.HttpsConnectionAdapterOptions.SslProtocols.*",            4, "rustls has TLS 1.2 and 1.3 only", Like("refused: no such version")),
    row("set.HttpsConnectionAdapterOptions.*.null",        6, NULL, Unsaid),
    row("set.TlsHandshakeCallbackOptions.*.null",          2, NULL, Unsaid),
    row("set.SocketTransportOptions.Backlog.-*",           3, TYPE, Like("refused: u32 cannot be -*")),
    row("set.SocketTransportOptions.*",                   41, RUNTIME, Unsaid),
    row("defaults.SocketConnectionFactoryOptions",         1, RUNTIME, Unsaid),
    row("set.SocketConnectionFactoryOptions.*",           46, RUNTIME, Unsaid),
    row("defaults.NamedPipeTransportOptions",              1, "named pipes are of Windows", Unsaid),
    row("set.NamedPipeTransportOptions.*",                43, "named pipes are of Windows", Unsaid),
    row("defaults.ListenOptions",                          1, "an endpoint is opaque: its tests are in tests/it", Unsaid),
    row("set.HostFilteringOptions.*.null",                 1, NULL, Unsaid),
    row("set.ForwardedHeadersOptions.ForwardLimit.-*",     2, TYPE, Like("refused: usize cannot be -*")),
    row("set.ForwardedHeadersOptions.ForwardedHeaders.*",  2, TYPE, Like("refused: a layer believes one header at least")),
    row("set.ForwardedHeadersOptions.*.null",              9, NULL, Unsaid),
    row("set.ForwardedHeadersOptions.*",                  15, "no header has this name", Like("refused: invalid HTTP header name")),
    row("set.HstsOptions.MaxAge.*",                        3, TYPE, Like("refused: *")),
    row("set.HttpsRedirectionOptions.HttpsPort.*",        11, "a port is a number from 1 to 65535", Like("refused: *")),
    row("set.HttpsRedirectionOptions.RedirectStatusCode.*",   18, "a redirect has the status 301, 302, 303, 307 or 308", Like("refused: *")),
    row("defaults.HostOptions",                            1, HOST, Unsaid),
    row("defaults-default-builder.HostOptions",            1, HOST, Unsaid),
    row("set.HostOptions.ShutdownTimeout.-*",              3, TYPE, Like("refused: Duration: *negative")),
    row("set.HostOptions.*",                              27, HOST, Unsaid),
    row("call.*",                                          1, TYPE, Like("refused: TlsOptions are no Option")),
];

#[rustfmt::skip]
pub(crate) const TARGETS: &[Difference] = &[
    rule("fragment-in-target", 13, has_fragment, REFUSED),
    rule("absolute-form-case", 29, differs_in_case, Such(is_taken_as_sent)),
    rule("absolute-form-path", 9, decodes_more, Such(is_taken_as_sent)),
    rule("target-octets", 94, is_no_uri, REFUSED),
    rule("text behind the brackets of an address is no authority", 1, has_text_behind_brackets, REFUSED),
    rule("absolute-form-case: a Host spelled as in the target is that host", 1, is_spelled_alike, Such(is_taken_as_sent)),
];

#[rustfmt::skip]
pub(crate) const HEADERS: &[Difference] = &[
    row("request.value-ascii.*",                         117, NO_ASCII, Unsaid),
    row("request.encoded.*-ascii",                        18, NO_ASCII, Unsaid),
    row("request.name-*",                                134, "field-name-token", REFUSED),
    row("request.value-start.*",                          22, "field-value-control", REFUSED),
    row("request.value-middle.*",                         21, "field-value-control", REFUSED),
    row("request.value-end.*",                            19, "field-value-control", REFUSED),
    row("request.value-latin1.*",                         22, "field-value-control", REFUSED),
    row("request.space.*",                                 4, "field-value-control", REFUSED),
    row("request.content-length.02",                       1, "a field is shown as it was sent", Such(|_, here| here["headers"] == json!([["content-length", "0".repeat(30)]]))),
    row("request.content-length.03",                       1, "content-length-digits", REFUSED),
    row("request.content-length.04",                       1, "content-length-digits", REFUSED),
];

#[rustfmt::skip]
pub(crate) const TRAILERS: &[Difference] = &[
    row("request-trailer.name-middle.*",                  33, "field-name-token", REFUSED),
    row("request-trailer.line.03",                         1, "a trailer without a value is shown", Such(|_, here| here["trailers"] == json!([["x", ""]]))),
    row("request-trailer.line.15",                         1, "request-trailer-utf8", REFUSED),
    row("request-trailer.value-middle.0*",                12, "field-value-control", REFUSED),
    row("request-trailer.value-middle.1*",                11, "field-value-control", REFUSED),
    row("request-trailer.value-middle.7f",                 1, "field-value-control", REFUSED),
    row("request-trailer.value-middle.*",                 98, "request-trailer-utf8", REFUSED),
];

#[rustfmt::skip]
pub(crate) const HTTP2: &[Difference] = &[
    row("pseudo.path-twice",                 1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("pseudo.status",                     1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("pseudo.after-regular",              1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("field.connection",                  1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("field.te-gzip",                     1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("field.value-latin1",                1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("body.length-text",                  1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("trailers.no-end-stream",            1, "malformed-request-scope", Like("1=PROTOCOL_ERROR open")),
    row("field.transfer-encoding",           1, "h2-connection-fields", Like("1=PROTOCOL_ERROR open")),
    row("hpack.index-*",                     2, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("hpack.integer-too-long",            1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("hpack.string-cut",                  1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("hpack.huffman-eos",                 1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("hpack.table-update-*",              2, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("pseudo.method-*",                   2, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("field.name-space",                  1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("settings.ack-unasked",              1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) *closed")),
    row("window.after-client-rst",           1, "h2-library-code", Like("3=200{*} open")),
    row("body.unread-late",                  1, "h2-library-code", Like("1=200{content-length:7,content-type:text/plain}+NO_ERROR open")),
    row("trailers.pseudo",                   1, "h2-library-code", Like("1=200{content-length:1,content-type:text/plain} open")),
    row("flow.upload-over-stream-window",    1, "h2-library-code", Like("1=FLOW_CONTROL_ERROR open")),
    row("limit.total-33k",                   1, "the 431 of the h2 crate says no length", Like("1=431{} 3=200{content-length:26,content-type:text/plain} open")),
    row("limit.total-66k",                   1, "headers-far-over", Like("1=431{} open")),
    row("hpack.field-32769",                 1, "field-too-large", Like("1=431{} open")),
    row("hpack.bomb",                        1, "h2-empty-frames", Like("GOAWAY(0,ENHANCE_YOUR_CALM) closed")),
    row("continuation.each-octet",           1, "h2-empty-frames", Like("GOAWAY(0,ENHANCE_YOUR_CALM) closed")),
    row("flood.empty-*",                     2, "h2-empty-frames", Like("GOAWAY(*,ENHANCE_YOUR_CALM) closed")),
    row("flood.rapid-reset-*",               3, "h2-resets", Like("*ENHANCE_YOUR_CALM) closed")),
    row("path.query-*",                      2, "target-octets", Like("1=PROTOCOL_ERROR open")),
    row("timeout.body-stalled",              1, "stream-rate", Like("1=408{content-length:0}+NO_ERROR *closed")),
    row("timeout.body-slow",                 1, "stream-rate", Like("1=408{content-length:0}+NO_ERROR *closed")),
    row("timeout.body-route-rate",           1, "stream-rate", Like("1=200{content-length:1,content-type:text/plain} open")),
    row("timeout.response-stalled",          1, "stream-rate", Like("1=200{*}(cut)+CANCEL *")),
    row("goaway.of-server-new-stream",       1, "h2-stop", Like("1=200{content-length:7,content-type:text/plain} GOAWAY(2147483647,NO_ERROR) GOAWAY(1,NO_ERROR) closed")),
    row("response.reset-after-complete",     1, "a reset that the handler asks for before its body has ended cuts the body", Like("1=200{content-length:4,content-type:text/plain}(cut)+NO_ERROR open")),
];

#[rustfmt::skip]
pub(crate) const SMALL_HTTP2: &[Difference] = &[
    row("field.*-1025",                      6, "field-too-large", Like("1=431{content-length:0} open")),
    row("field.huffman-coded-1024",          1, "field-too-large", Like("1=431{content-length:0} open")),
    row("hpack.reference-in-the-*",          2, "h2-library-code", Like("*=200{*} open")),
    row("hpack.table-update-1",              1, "h2-library-code", Like("GOAWAY(0,PROTOCOL_ERROR) closed")),
    row("settings.of-server*",               2, "h2 says a window of 65,535, and tells no window of the connection that is little larger", Like("*SETTINGS [[[1,0],[3,2],[4,65535],[5,32768],[6,32768],[8,1]]] window 0 open")),
    row("flow.connection-window-full",       1, "h2 tells no window of the connection that is little larger than 65,535", Like("GOAWAY(3,FLOW_CONTROL_ERROR) closed")),
    row("streams.reset-101-running",         1, "h2-resets", Like("pong open")),
    row("streams.reset-frees-a-place",       1, "what is answered before its reset is read is answered", Like("3=200{*} 5=200{*} open")).at_most(),
];

/// Before the connection reaches the app.
const CLOSED_400: &str = r#"400 {"connection": ["close"], "content-length": ["0"]}, closed"#;
const REFUSED: How = Like("400");

const HOST: &str = "the host, not the server; the time for shutdown is with_shutdown_timeout";
const NO_HTTP3: &str = "HTTP/3 is not built";
const NULL: &str = "what is not given is a method that is not called";
const RUNTIME: &str = "the runtime and the engines have the buffers and the queues";
const TYPE: &str = "the type has no such value";
const NO_ASCII: &str = "no option refuses UTF-8: a value is read as ASCII by `HeaderValue::to_str`";

fn target(case: &Case) -> &str {
    case.input["target"].as_str().unwrap_or_default()
}

fn has_fragment(case: &Case) -> bool {
    target(case).contains('#')
}

/// What Kestrel compares or refuses by the letter case of scheme and authority.
fn differs_in_case(case: &Case) -> bool {
    let Some((scheme, rest)) = target(case).split_once("://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = case.input["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    known && [scheme, authority].into_iter().chain(hosts).any(|text| text.chars().any(char::is_uppercase))
}

/// What .NET's `Uri` decodes or rewrites in an absolute target and the origin form does not.
fn decodes_more(case: &Case) -> bool {
    let target = target(case).to_ascii_lowercase();
    target.contains("://") && ["%00", "%2f", "%5c", "\\"].iter().any(|octets| target.contains(octets))
}

fn is_spelled_alike(case: &Case) -> bool {
    let authority = target(case).split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
    authority.is_some() && authority == case.input["hosts"][0].as_str()
}

fn has_text_behind_brackets(case: &Case) -> bool {
    let (_, behind) = target(case).split_once(']').unwrap_or_default();
    !behind.is_empty() && !behind.starts_with([':', '/', '?'])
}

/// What the http crate cannot hold, or no URI has.
fn is_no_uri(case: &Case) -> bool {
    target(case).parse::<http::Uri>().is_err() || target(case).contains(|c: char| c.is_ascii_control())
}

/// What .NET's `Uri` would rewrite or refuse is judged as in the origin form.
fn is_taken_as_sent(case: &Case, here: &Value) -> bool {
    let (_, rest) = target(case).split_once("://").unwrap_or_default();
    let path = rest.find('/').map_or("/", |start| &rest[start..]);
    let path = path.split('?').next().unwrap_or_default();
    if path.contains("%00") { *here == 400 } else { here["status"] == 200 && here["path"] == decoded(path) }
}
