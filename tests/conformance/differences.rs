//! Where kestrel-rs differs from the recordings, and why: the one table of it.

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
}

impl Difference {
    pub(crate) fn covers(&self, id: &str) -> bool {
        match self.cases.split_once('*') {
            Some((before, after)) => {
                id.len() >= before.len() + after.len() && id.starts_with(before) && id.ends_with(after)
            }
            None => id == self.cases,
        }
    }
}

#[rustfmt::skip]
pub(crate) const DIFFERENCES: &[Difference] = &[
    row(PROBES, "response.trailers*",                              3, "comes with TrailersLayer"),
    row(PROBES, "chunked.trailers",                                1, "comes with TrailersLayer"),
    row(PROBES, "chunked.trailer-forbidden",                       1, "comes with TrailersLayer"),
    row(PROBES, "response.sync-*",                                 2, "comes with SynchronousIoLayer"),
    row(PROBES, "content-length.route-limit-*",                    2, "comes with RequestLimits"),
    row(PROBES, "content-length.at-limit-headers",                 1, "comes with RequestLimits"),
    row(PROBES, "content-length.late-limit",                       1, "comes with RequestLimits"),
    row(PROBES, "chunked.over-route-limit*",                       2, "comes with RequestLimits"),
    row(PROBES, "timeout.body-no-rate",                            1, "comes with RequestLimits"),
    row(PROBES, "timeout.body-route-rate",                         1, "comes with RequestLimits"),
    row(PROBES, "request-line.fragment",                           1, "fragment-in-target"),
    row(PROBES, "request-line.asterisk-options",                   1, NO_PATH),
    row(PROBES, "request-line.connect",                            1, NO_PATH),
    row(PROBES, "headers.bad-name-char",                           1, "field-name-token"),
    row(PROBES, "headers.ctl-in-value",                            1, "field-value-control"),
    row(PROBES, "content-length.plus",                             1, "content-length-digits"),
    row(PROBES, "chunked.chunked-twice",                           1, "chunked-twice"),
    row(PROBES, "chunked.two-headers",                             1, "chunked-twice"),
    row(PROBES, "chunked.size-overflow",                           1, "chunk-size-overflow"),
    row(PROBES, "chunked.size-i32-overflow",                       1, "chunk-size-overflow"),

    row(LIMITS, "min-data-rate.rate.NaN",                          1, "not-a-number would switch the check off without a word"),
    row(LIMITS, "start.protocols.*",                               5, "cleartext with both speaks both, by preface; no protocol and HTTP/3 cannot be said"),
    row(LIMITS, "defaults.KestrelServerOptions",                   1, "each of its options is a layer or a feature of its own, or none"),
    row(LIMITS, "defaults-default-builder.KestrelServerOptions",   1, "each of its options is a layer or a feature of its own, or none"),
    row(LIMITS, "set.KestrelServerOptions.*",                     14, "each of its options is a layer or a feature of its own, or none"),
    row(LIMITS, "set.Http3Limits.*",                              20, "comes with HTTP/3"),
    row(LIMITS, "defaults.QuicTransportOptions",                   1, "comes with HTTP/3"),
    row(LIMITS, "defaults-default-builder.QuicTransportOptions",   1, "comes with HTTP/3"),
    row(LIMITS, "set.QuicTransportOptions.*",                     89, "comes with HTTP/3"),
    row(LIMITS, "defaults.HttpsConnectionAdapterOptions",          1, "comes with TLS"),
    row(LIMITS, "set.HttpsConnectionAdapterOptions.*",            34, "comes with TLS"),
    row(LIMITS, "defaults.TlsHandshakeCallbackOptions",            1, "comes with TLS"),
    row(LIMITS, "set.TlsHandshakeCallbackOptions.*",              18, "comes with TLS"),
    row(LIMITS, "defaults.SocketTransportOptions",                 1, "the runtime and the gate have the buffers and the queues"),
    row(LIMITS, "defaults-default-builder.SocketTransportOptions",   1, "the runtime and the gate have the buffers and the queues"),
    row(LIMITS, "set.SocketTransportOptions.*",                   59, "the runtime and the gate have the buffers and the queues"),
    row(LIMITS, "defaults.SocketConnectionFactoryOptions",         1, "the runtime and the gate have the buffers and the queues"),
    row(LIMITS, "set.SocketConnectionFactoryOptions.*",           46, "the runtime and the gate have the buffers and the queues"),
    row(LIMITS, "defaults.NamedPipeTransportOptions",              1, "named pipes are of Windows"),
    row(LIMITS, "set.NamedPipeTransportOptions.*",                43, "named pipes are of Windows"),
    row(LIMITS, "defaults.ListenOptions",                          1, "an endpoint is opaque: its tests are in tests/it"),
    row(LIMITS, "defaults.HostFilteringOptions",                   1, "comes with the layer"),
    row(LIMITS, "defaults-default-builder.HostFilteringOptions",   1, "comes with the layer"),
    row(LIMITS, "set.HostFilteringOptions.*",                      2, "comes with the layer"),
    row(LIMITS, "defaults.ForwardedHeadersOptions",                1, "comes with the layer"),
    row(LIMITS, "set.ForwardedHeadersOptions.*",                  53, "comes with the layer"),
    row(LIMITS, "defaults.HstsOptions",                            1, "comes with the layer"),
    row(LIMITS, "set.HstsOptions.*",                              21, "comes with the layer"),
    row(LIMITS, "defaults.HttpsRedirectionOptions",                1, "comes with the layer"),
    row(LIMITS, "set.HttpsRedirectionOptions.*",                  39, "comes with the layer"),
    row(LIMITS, "defaults.HostOptions",                            1, "the host, not the server; the time for shutdown is with_shutdown_timeout"),
    row(LIMITS, "defaults-default-builder.HostOptions",            1, "the host, not the server; the time for shutdown is with_shutdown_timeout"),
    row(LIMITS, "set.HostOptions.*",                              44, "the host, not the server; the time for shutdown is with_shutdown_timeout"),
    row(LIMITS, "call.*",                                          4, "comes with TLS"),

    row(TARGETS, "absolute-override.*",                           108, NO_HOST_OVERRIDE),
    row(TARGETS, "absolute-shape.*-override",                     187, NO_HOST_OVERRIDE),
    row(TARGETS, "authority.*-override",                           12, NO_HOST_OVERRIDE),
    row(TARGETS, "dots.odd-036",                                    1, "fragment-in-target"),
    row(TARGETS, "origin.37",                                       1, "fragment-in-target"),
    row(TARGETS, "origin.38",                                       1, "fragment-in-target"),
    row(TARGETS, "origin.4*",                                       2, "target-octets"),
    row(TARGETS, "raw-path.*",                                     27, "target-octets"),
    row(TARGETS, "raw-query.23-#",                                  1, "fragment-in-target"),
    row(TARGETS, "raw-query.*",                                    23, "target-octets"),
    row(TARGETS, "absolute-path-byte.23-#",                         1, "fragment-in-target"),
    row(TARGETS, "absolute-path-byte.*",                           19, "target-octets"),
    row(TARGETS, "absolute-host.*",                                24, "absolute-form-case"),
    row(TARGETS, "absolute-shape.05*",                              3, "fragment-in-target"),
    row(TARGETS, "absolute-shape.065",                              1, "fragment-in-target"),
    row(TARGETS, "absolute-shape.21*",                              3, "target-octets"),
    row(TARGETS, "absolute-shape.180",                              1, "absolute-form-path"),
    row(TARGETS, "absolute-shape.188",                              1, "absolute-form-path"),
    row(TARGETS, "origin.78",                                       1, "target-octets"),
    row(TARGETS, "origin.82",                                       1, "target-octets"),
    row(TARGETS, "absolute-percent.00",                             1, "absolute-form-path"),

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
    row(HEADERS, "request-trailer.line.15",                         1, "request-trailer-utf8"),
    row(HEADERS, "request-trailer.value-middle.0*",                12, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.1*",                11, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.7f",                 1, "field-value-control"),
    row(HEADERS, "request-trailer.value-middle.*",                 98, "request-trailer-utf8"),
];

const PROBES: &str = "http1/recorded.json";
const TARGETS: &str = "facts/request-targets.json";
const HEADERS: &str = "facts/header-names-values.json";
const LIMITS: &str = "facts/limits.json";

const NO_PATH: &str = "axum's router: a target without a path is no route, 404 in place of the 405 of `/`";
const NO_HOST_OVERRIDE: &str = "no option lets Host contradict the target";
const NO_ASCII: &str = "no option refuses UTF-8: a value is read as ASCII by `HeaderValue::to_str`";

/// A row in one line.
const fn row(recording: &'static str, cases: &'static str, count: usize, reason: &'static str) -> Difference {
    Difference { recording, cases, count, reason }
}
