//! kestrel-rs against the recordings of the real Kestrel.
//!
//! ```text
//! tests/reference/http1/probes.json ---- probes: octets to the reference application on a port
//! tests/reference/http2/*.json -------- http2:  frames to the reference application, by h2probe.py
//! tests/reference/facts/*.json      -+-- facts:  requests to a server in memory, what its handler saw
//!                                    |-- limits: defaults, what is refused, what starts
//!                                    `-- request_features, bad_requests: a recorded `client` and the
//!                                        recorded steps of a `handler`, through an `exchange`
//! ```
//!
//! Where we differ on purpose, [`differences`] says so, with the number of cases: a row that covers
//! more or fewer than it says fails, as a difference without a row does. [`how`] keeps what each of these cases comes to,
//! so that one that begins to differ in another way fails too.
//!
//! | variable | effect |
//! |---|---|
//! | `KESTREL_REFERENCE=FOLDER` | other recordings with the same layout; then rows are not counted |
//! | `KESTREL_PROBE_TARGET=HOST:PORT,HOST:SHORTPORT` | probe a server that is already running, the real Kestrel too |
//! | `KESTREL_FACTS_TARGET=HOST:PORT` | replay the requests against such a server: statuses only |

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]
#![expect(clippy::print_stderr, reason = "a report is read beside the result")]

mod addresses;
#[cfg(feature = "test-util")]
mod answers;
#[cfg(feature = "test-util")]
mod bad_requests;
#[cfg(feature = "test-util")]
mod cases;
mod certificate_forwarding;
#[cfg(feature = "test-util")]
mod client;
mod differences;
#[cfg(feature = "test-util")]
mod exchange;
mod facts;
mod forwarded_headers;
mod frames;
#[cfg(feature = "test-util")]
mod handler;
mod host_filtering;
mod hsts;
mod http;
mod http1;
mod http2;
#[cfg(feature = "test-util")]
mod https_redirection;
#[cfg(feature = "tls")]
mod limits;
mod method_override;
#[cfg(feature = "tls")]
mod options;
mod recording;
mod reference;
#[cfg(feature = "test-util")]
mod request_features;
#[cfg(feature = "tls")]
mod sni;
mod table;
#[cfg(feature = "tls")]
mod tls;
