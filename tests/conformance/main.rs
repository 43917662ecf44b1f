//! kestrel-rs against the recordings of the real Kestrel.
//!
//! ```text
//! tests/reference/http1/*.json -------- http1:  octets to the reference application on a port
//! tests/reference/http2/*.json -------- http2:  frames to the reference application
//! tests/reference/tls/*.json ---------- tls:    handshakes with the reference endpoints, by tlsprobe.py
//! tests/reference/facts/*.json      -+-- facts:  requests to a server in memory, what its handler saw
//!                                    |-- limits: defaults, what is refused, what starts
//!                                    |-- request_features, bad_requests: a recorded `client` and the
//!                                    |   recorded steps of a `handler`, through an `exchange`
//!                                    |-- answers: whole answers to the steps of a handler
//!                                    `-- the others: one layer each, by the name of its file
//! ```
//!
//! Where we differ on purpose, a row of a table says so, and **how** ([`table`]): each case that a row covers comes out
//! as the row says, and the row says how many there are. A difference without a row fails, and so does one that is not
//! as its row says, and a row that covers more or fewer cases.
//!
//! | variable | effect |
//! |---|---|
//! | `KESTREL_REFERENCE=FOLDER` | other recordings with the same layout; then rows are not counted |
//! | `KESTREL_PROBE_TARGET=HOST:PORT,HOST:SHORTPORT` | probe a server that is already running, the real Kestrel too; a third one is that with small limits |
//! | `KESTREL_FACTS_TARGET=HOST:PORT` | replay the requests against such a server: statuses only |
//! | `KESTREL_SHOW_ALL=1` | every difference in words, not the first five of a group |

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![expect(clippy::print_stderr, reason = "a report is read beside the result")]

mod addresses;
mod answers;
mod bad_requests;
mod cases;
mod certificate_forwarding;
mod client;
mod differences;
mod exchange;
mod facts;
mod forwarded_headers;
mod frames;
mod handler;
mod host_filtering;
mod hsts;
mod http;
mod http1;
mod http2;
mod https_redirection;
mod limits;
mod method_override;
mod options;
mod recording;
mod reference;
mod request_features;
mod sni;
mod table;
mod tls;
