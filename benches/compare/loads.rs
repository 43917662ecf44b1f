//! What is asked of the servers, and what is read off them meanwhile.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::Resumption;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::options::Options;
use crate::process::{ServerProcess, own_cpu_time};
use crate::servers::{Program, Server};
use crate::tls::Client;
use crate::{Result, http1, http2};

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

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Https => "https",
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Http1, Self::Http2, Self::Https]
            .into_iter()
            .find(|protocol| protocol.name() == name)
            .ok_or_else(|| format!("{name} is not a protocol"))
    }
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

/// What the clients of one measurement have reached.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    answered: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Progress {
    pub(crate) fn add(&self, answered: u64) {
        self.answered.fetch_add(answered, Ordering::Relaxed);
    }

    fn fail(&self, error: &dyn std::error::Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
    }

    /// A single client that failed makes the measurement worthless.
    fn check(&self) -> Result<()> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        }
    }
}

impl Load {
    /// Memory hardly differs between rounds.
    pub(crate) fn rounds(&self, options: &Options) -> usize {
        match self.work {
            Work::Idle | Work::TlsIdle => options.rounds.min(3),
            _ => options.rounds,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self.work {
            Work::Http2 { .. } => Protocol::Http2,
            Work::TlsAsk { .. } | Work::TlsConnect { .. } | Work::TlsIdle => Protocol::Https,
            Work::Ask { .. } | Work::Connect { .. } | Work::Idle => Protocol::Http1,
        }
    }

    /// Starts the server, puts this load on it, and ends it.
    pub(crate) async fn measure(&self, server: &Server, options: &Options) -> Result<Measured> {
        let process = ServerProcess::start(server, self.protocol()).await?;
        match self.work {
            Work::Idle => idle(&process, options, None).await,
            Work::TlsIdle => idle(&process, options, Some(&Client::new(Resumption::disabled())?)).await,
            work => window(work, &process, warm_up(server, options), options.length).await,
        }
    }
}

/// What is compiled while it runs needs longer to be itself.
fn warm_up(server: &Server, options: &Options) -> Duration {
    match server.program {
        Program::Own(_) => options.warm_up,
        Program::Named { .. } => options.warm_up * 10,
    }
}

/// One look at everything that moves.
struct Sample {
    at: Instant,
    answered: u64,
    server_cpu: Duration,
    client_cpu: Duration,
}

impl Sample {
    fn take(process: &ServerProcess, progress: &Progress) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            answered: progress.answered.load(Ordering::Relaxed),
            server_cpu: process.cpu_time()?,
            client_cpu: own_cpu_time()?,
        })
    }
}

/// The load for some time; only what happens between two samples counts.
async fn window(
    work: Work,
    process: &ServerProcess,
    warm_up: Duration,
    length: Duration,
) -> Result<Measured> {
    let clients = Clients::start(work, process.address);
    sleep(warm_up).await;
    let before = Sample::take(process, &clients.progress)?;
    sleep(length).await;
    let after = Sample::take(process, &clients.progress)?;
    let resident = process.resident()?;
    let threads = clients.threads.len();
    clients.stop()?;

    let seconds = (after.at - before.at).as_secs_f64();
    let answered = (after.answered - before.answered) as f64;
    if answered == 0.0 {
        return Err("no response".into());
    }
    let client_cpu = after.client_cpu.saturating_sub(before.client_cpu).as_secs_f64();
    Ok(vec![
        (Figure::Requests, answered / seconds),
        (Figure::Cpu, after.server_cpu.saturating_sub(before.server_cpu).as_secs_f64() / answered * 1e6),
        (Figure::Memory, resident as f64 / 1024.0),
        (Figure::ClientBusy, client_cpu / seconds / threads as f64 * 100.0),
    ])
}

/// The threads that make the load, each with a runtime of its own: nothing to share, nothing to steal.
struct Clients {
    progress: Arc<Progress>,
    stop: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Clients {
    fn start(work: Work, server: SocketAddr) -> Self {
        let progress = Arc::new(Progress::default());
        let stop = CancellationToken::new();
        // Connecting is the client kernel's work too: one thread could not keep a server busy.
        let (threads, connections) = match work {
            Work::Ask { connections, .. }
            | Work::Http2 { connections, .. }
            | Work::TlsAsk { connections, .. } => (1, connections),
            Work::Connect { at_a_time } | Work::TlsConnect { at_a_time, .. } => (2, at_a_time),
            Work::Idle | Work::TlsIdle => (0, 0),
        };
        let threads = (0..threads)
            .map(|_| {
                let (progress, stop) = (progress.clone(), stop.clone());
                std::thread::spawn(move || {
                    if let Err(error) = run_clients(work, connections / threads, server, &progress, stop) {
                        progress.fail(&*error);
                    }
                })
            })
            .collect();
        Self { progress, stop, threads }
    }

    fn stop(self) -> Result<()> {
        self.stop.cancel();
        for thread in self.threads {
            thread.join().map_err(|_| "a client panicked")?;
        }
        self.progress.check()
    }
}

fn run_clients(
    work: Work,
    connections: usize,
    server: SocketAddr,
    progress: &Arc<Progress>,
    stop: CancellationToken,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let resumption = match work {
        Work::TlsConnect { resumed: true, .. } => Resumption::in_memory_sessions(256),
        _ => Resumption::disabled(),
    };
    let tls = Arc::new(Client::new(resumption)?);
    runtime.block_on(async move {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let (progress, tls) = (progress.clone(), tls.clone());
            clients.spawn(async move {
                match work {
                    Work::Ask { head, depth, .. } => {
                        let stream = http1::connect(server).await?;
                        http1::keep_asking(stream, server, head, depth, &progress).await
                    }
                    Work::TlsAsk { head, .. } => {
                        let stream = tls.connect(server).await?;
                        http1::keep_asking(stream, server, head, 1, &progress).await
                    }
                    Work::Connect { .. } => {
                        let connect = || async { Ok(TcpStream::connect(server).await?) };
                        http1::keep_connecting(connect, server, &progress).await
                    }
                    Work::TlsConnect { .. } => {
                        http1::keep_connecting(|| tls.connect(server), server, &progress).await
                    }
                    Work::Http2 { streams, .. } => http2::keep_asking(server, streams, &progress).await,
                    Work::Idle | Work::TlsIdle => Ok(()),
                }
            });
        }
        tokio::select! {
            () = stop.cancelled_owned() => Ok(()),
            // None of them ends by itself, unless it fails.
            Some(ended) = clients.join_next() => ended?,
        }
    })
}

/// What the server's memory grows by, divided by the connections that it grew for.
async fn idle(process: &ServerProcess, options: &Options, tls: Option<&Client>) -> Result<Measured> {
    // What a first request allocates once is not a connection's.
    http1::Idle::connect(process.address, 1, tls)?.ask(process.address)?;
    sleep(options.warm_up).await;
    let empty = process.resident()?;
    let mut idle = http1::Idle::connect(process.address, options.idle, tls)?;
    sleep(options.settle).await;
    let fresh = process.resident()?;
    idle.ask(process.address)?;
    sleep(options.settle).await;
    let used = process.resident()?;

    let each = |resident: u64| resident.saturating_sub(empty) as f64 / options.idle as f64;
    Ok(vec![(Figure::IdleFresh, each(fresh)), (Figure::IdleUsed, each(used))])
}
