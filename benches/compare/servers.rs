//! The servers that are compared: all of them answer `GET /` with twelve octets of text, and have the other routes of the loads.

use crate::common::protocol::Protocol;

/// A server that takes part. To add one is to add a line to [`SERVERS`].
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) program: Program,
    /// It takes part in the loads of these.
    pub(crate) speaks: &'static [Protocol],
    /// Takes part in these loads alone, unless asked for by name. Empty for all.
    pub(crate) only: &'static [&'static str],
}

/// Where a server's process comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// This very program, called again.
    Own,
    /// That of `benches/peers`, built when it is asked for.
    Peer,
    /// Another one, named by an environment variable. It compiles while it runs.
    Named { variable: &'static str },
}

const CLEAR: &[Protocol] = &[Protocol::Http1, Protocol::Http2];

const fn server(name: &'static str, about: &'static str, speaks: &'static [Protocol]) -> Server {
    Server { name, about, program: Program::Own, speaks, only: &[] }
}

const fn peer(name: &'static str, about: &'static str) -> Server {
    Server { name, about, program: Program::Peer, speaks: &[Protocol::Http1], only: &[] }
}

/// In the order in which they run within a round. The first that takes part is held against each of the others.
pub(crate) const SERVERS: [Server; 10] = [
    server(
        "kestrel",
        "kestrel_rs::serve, every guard on, defaults",
        &[Protocol::Http1, Protocol::Http2, Protocol::Https],
    ),
    server("axum", "axum::serve(TcpListener, Router)", CLEAR),
    Server {
        only: &["pipelined-4", "pipelined-16"],
        ..server("axum-nodelay", "axum::serve, its sockets with TCP_NODELAY", CLEAR)
    },
    server("hyper", "hyper's drivers called directly, TCP_NODELAY, HTTP/1 with pipeline_flush", CLEAR),
    server("axum-server", "axum-server 0.8 with rustls, its defaults", &[Protocol::Https]),
    peer("actix", "actix-web 4, a router of its own"),
    peer("ntex", "ntex 2, a router of its own"),
    peer("salvo", "salvo 1, a router of its own"),
    peer("xitca", "xitca-web 0.8, a router of its own"),
    Server {
        program: Program::Named { variable: "KESTREL_APP" },
        ..server("real", "Kestrel of ASP.NET Core, the program in KESTREL_APP", CLEAR)
    },
];
