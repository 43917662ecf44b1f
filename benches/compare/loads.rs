//! What is asked of the servers, and what is to come of it.

use crate::common::protocol::Protocol;
use crate::common::requests::Ask;

/// One table of the report.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Work,
    pub(crate) goals: &'static [Goal],
}

#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Requests on kept connections, `depth` of them in one write.
    Ask { connections: usize, ask: Ask, depth: u32 },
    /// A connection a request, so many at a time.
    Connect { at_a_time: usize },
    /// The same as `Ask`, over TLS.
    TlsAsk { connections: usize, ask: Ask },
    /// The same as `Connect`, over TLS.
    TlsConnect { at_a_time: usize, resumed: bool },
    /// The same as `Idle`, over TLS.
    TlsIdle,
    /// HTTP/2 without TLS, its preface sent unasked.
    Http2 { connections: usize, streams: u64 },
    /// Connections that rest.
    Idle,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    Requests,
    Cpu,
    Memory,
    ClientBusy,
    IdleFresh,
    IdleUsed,
}

/// One measurement of one server.
pub(crate) type Measured = Vec<(Figure, f64)>;

/// What `kestrel` is to reach.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) figure: Figure,
    /// The goal is a ratio to this server's figure; without one it is the figure itself.
    pub(crate) against: Option<&'static str>,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

const fn ratio(figure: Figure, against: &'static str, bound: Bound) -> Goal {
    Goal { figure, against: Some(against), bound }
}

const fn absolute(figure: Figure, bound: Bound) -> Goal {
    Goal { figure, against: None, bound }
}

const fn kept(name: &'static str, about: &'static str, ask: Ask, goals: &'static [Goal]) -> Load {
    Load { name, about, work: Work::Ask { connections: 64, ask, depth: 1 }, goals }
}

/// Few connections, since each of them keeps much under way.
const fn large(name: &'static str, about: &'static str, ask: Ask, goals: &'static [Goal]) -> Load {
    Load { name, about, work: Work::Ask { connections: 8, ask, depth: 1 }, goals }
}

const fn pipelined(name: &'static str, about: &'static str, depth: u32) -> Load {
    Load { name, about, work: Work::Ask { connections: 64, ask: Ask::Wrk, depth }, goals: PIPELINED }
}

const CHEAP_BROWSER: &[Goal] = &[ratio(Figure::Cpu, "axum", Bound::AtMost(0.85))];
/// 0.1 us a chunk.
const TINY: &[Goal] = &[absolute(Figure::Cpu, Bound::AtMost(410.0))];
const PIPELINED: &[Goal] = &[ratio(Figure::Requests, "hyper", Bound::AtLeast(1.0))];
const TLS: &[Goal] = &[
    ratio(Figure::Requests, "axum-server", Bound::AtLeast(1.0)),
    ratio(Figure::Cpu, "axum-server", Bound::AtMost(1.0)),
];

pub(crate) const LOADS: [Load; 18] = [
    kept(
        "keepalive",
        "64 kept connections, one request at a time, head as wrk sends it",
        Ask::Wrk,
        &[
            ratio(Figure::Cpu, "axum", Bound::AtMost(1.0)),
            ratio(Figure::Cpu, "hyper", Bound::AtMost(1.05)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.7)),
            ratio(Figure::Memory, "real", Bound::AtMost(0.1)),
        ],
    ),
    kept(
        "browser",
        "64 kept connections, one request at a time, head of 16 fields as a browser sends it",
        Ask::Browser,
        CHEAP_BROWSER,
    ),
    kept("varied", "the same, with another query and cookie in each request", Ask::Varied, CHEAP_BROWSER),
    kept("post", "64 kept connections, POST of 12 octets, which come back", Ask::Post, &[]),
    kept("post-chunked", "the same, the 12 octets in one chunk", Ask::PostChunked, &[]),
    large("tiny-chunks", "8 kept connections, POST of 4,096 chunks of one octet", Ask::TinyChunks, TINY),
    large("upload", "8 kept connections, POST of 1 MB", Ask::Upload, &[]),
    large("download", "8 kept connections, GET of 1 MB", Ask::Download, &[]),
    pipelined("pipelined-4", "64 kept connections, 4 requests in one write", 4),
    pipelined("pipelined-16", "64 kept connections, 16 requests in one write", 16),
    Load {
        name: "churn",
        about: "a new connection for every request, 64 at a time",
        work: Work::Connect { at_a_time: 64 },
        goals: &[ratio(Figure::Requests, "axum", Bound::AtLeast(1.3))],
    },
    Load {
        name: "idle",
        about: "memory of a connection that rests: fresh, and after one request",
        work: Work::Idle,
        goals: &[
            absolute(Figure::IdleFresh, Bound::AtMost(2.5)),
            absolute(Figure::IdleUsed, Bound::AtMost(8.0)),
        ],
    },
    Load {
        name: "http2",
        about: "HTTP/2 in clear, 8 connections, 10 streams each",
        work: Work::Http2 { connections: 8, streams: 10 },
        goals: &[
            ratio(Figure::Requests, "axum", Bound::AtLeast(1.6)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.0)),
        ],
    },
    Load {
        name: "http2-single",
        about: "HTTP/2 in clear, 64 connections, one stream each",
        work: Work::Http2 { connections: 64, streams: 1 },
        goals: &[ratio(Figure::Requests, "axum", Bound::AtLeast(1.2))],
    },
    Load {
        name: "tls-keepalive",
        about: "TLS 1.3, 64 kept connections, one request at a time, head as wrk sends it",
        work: Work::TlsAsk { connections: 64, ask: Ask::Wrk },
        goals: TLS,
    },
    Load {
        name: "tls-churn",
        about: "TLS 1.3, a new connection and a full handshake for every request, 64 at a time",
        work: Work::TlsConnect { at_a_time: 64, resumed: false },
        goals: TLS,
    },
    Load {
        name: "tls-resumed",
        about: "TLS 1.3, a new connection for every request, its session resumed, 64 at a time",
        work: Work::TlsConnect { at_a_time: 64, resumed: true },
        goals: TLS,
    },
    Load {
        name: "tls-idle",
        about: "memory of a TLS connection that rests: after the handshake, and after one request",
        work: Work::TlsIdle,
        goals: &[
            absolute(Figure::IdleFresh, Bound::AtMost(10.0)),
            absolute(Figure::IdleUsed, Bound::AtMost(16.0)),
        ],
    },
];

impl Load {
    pub(crate) fn protocol(&self) -> Protocol {
        match self.work {
            Work::Http2 { .. } => Protocol::Http2,
            Work::TlsAsk { .. } | Work::TlsConnect { .. } | Work::TlsIdle => Protocol::Https,
            Work::Ask { .. } | Work::Connect { .. } | Work::Idle => Protocol::Http1,
        }
    }
}
