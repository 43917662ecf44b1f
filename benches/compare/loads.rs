//! What is asked of the servers, and what is to come of it.

use crate::protocol::Protocol;

/// One table of the report.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) work: Work,
    /// The servers that all are compared with, where they take part.
    pub(crate) references: &'static [&'static str],
    pub(crate) goals: &'static [Goal],
}

#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Requests on kept connections, `depth` of them in one write.
    Ask { connections: usize, head: Head, depth: u32 },
    /// A connection a request, so many at a time.
    Connect { at_a_time: usize },
    /// The same as `Ask`, over TLS.
    TlsAsk { connections: usize, head: Head },
    /// The same as `Connect`, over TLS.
    TlsConnect { at_a_time: usize, resumed: bool },
    /// The same as `Idle`, over TLS.
    TlsIdle,
    /// HTTP/2 without TLS, its preface sent unasked.
    Http2 { connections: usize, streams: u64 },
    /// Connections that rest.
    Idle,
}

#[derive(Clone, Copy)]
pub(crate) enum Head {
    /// As wrk sends it.
    Small,
    /// As a browser sends it: 10 headers, 600 bytes.
    Browser,
    /// As wrk sends it, and the connection ends with the response.
    Close,
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

pub(crate) const LOADS: [Load; 10] = [
    Load {
        name: "keepalive",
        about: "64 kept connections, one request at a time, head as wrk sends it",
        work: Work::Ask { connections: 64, head: Head::Small, depth: 1 },
        references: &["axum", "real"],
        goals: &[
            ratio(Figure::Cpu, "axum", Bound::AtMost(1.0)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.5)),
            ratio(Figure::Memory, "real", Bound::AtMost(0.2)),
        ],
    },
    Load {
        name: "browser",
        about: "64 kept connections, one request at a time, head of 10 headers as a browser sends it",
        work: Work::Ask { connections: 64, head: Head::Browser, depth: 1 },
        references: &["axum", "real"],
        goals: &[
            ratio(Figure::Cpu, "axum", Bound::AtMost(1.0)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.5)),
        ],
    },
    Load {
        name: "pipelined",
        about: "64 kept connections, 16 requests in one write",
        work: Work::Ask { connections: 64, head: Head::Small, depth: 16 },
        references: &["axum", "axum-nodelay", "hyper", "real"],
        goals: &[
            ratio(Figure::Requests, "hyper", Bound::AtLeast(0.95)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.5)),
        ],
    },
    Load {
        name: "churn",
        about: "a new connection for every request, 64 at a time",
        work: Work::Connect { at_a_time: 64 },
        references: &["axum", "real"],
        goals: &[
            ratio(Figure::Requests, "axum", Bound::AtLeast(1.3)),
            ratio(Figure::Requests, "real", Bound::AtLeast(1.5)),
        ],
    },
    Load {
        name: "idle",
        about: "memory of a connection that rests: fresh, and after one request",
        work: Work::Idle,
        references: &["axum", "real"],
        goals: &[
            absolute(Figure::IdleFresh, Bound::AtMost(4.0)),
            absolute(Figure::IdleUsed, Bound::AtMost(9.0)),
        ],
    },
    Load {
        name: "http2",
        about: "HTTP/2 in clear, 8 connections, 10 streams each",
        work: Work::Http2 { connections: 8, streams: 10 },
        references: &["axum", "real"],
        goals: &[ratio(Figure::Requests, "axum", Bound::AtLeast(1.0))],
    },
    Load {
        name: "tls-keepalive",
        about: "TLS 1.3, 64 kept connections, one request at a time, head as wrk sends it",
        work: Work::TlsAsk { connections: 64, head: Head::Small },
        references: &["axum-server"],
        goals: &[
            ratio(Figure::Requests, "axum-server", Bound::AtLeast(1.0)),
            ratio(Figure::Cpu, "axum-server", Bound::AtMost(1.0)),
        ],
    },
    Load {
        name: "tls-churn",
        about: "TLS 1.3, a new connection and a full handshake for every request, 64 at a time",
        work: Work::TlsConnect { at_a_time: 64, resumed: false },
        references: &["axum-server"],
        goals: &[
            ratio(Figure::Requests, "axum-server", Bound::AtLeast(1.0)),
            ratio(Figure::Cpu, "axum-server", Bound::AtMost(1.0)),
        ],
    },
    Load {
        name: "tls-resumed",
        about: "TLS 1.3, a new connection for every request, its session resumed, 64 at a time",
        work: Work::TlsConnect { at_a_time: 64, resumed: true },
        references: &["axum-server"],
        goals: &[ratio(Figure::Requests, "axum-server", Bound::AtLeast(1.0))],
    },
    Load {
        name: "tls-idle",
        about: "memory of a TLS connection that rests: after the handshake, and after one request",
        work: Work::TlsIdle,
        references: &["axum-server"],
        goals: &[
            ratio(Figure::IdleFresh, "axum-server", Bound::AtMost(1.0)),
            ratio(Figure::IdleUsed, "axum-server", Bound::AtMost(1.0)),
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
