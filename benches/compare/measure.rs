//! One measurement: a server under a load, and what is read off it meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::common::http1::{Client, connect};
use crate::common::parent::ServerProcess;
use crate::common::{Result, http2};
use crate::http1::{Idle, keep_connecting};
use crate::loads::{Figure, Load, Measured, Work};
use crate::options::Options;
use crate::process::{own_cpu_time, start};
use crate::progress::Progress;
use crate::servers::{Program, Server};
use crate::tls;

impl Load {
    /// Memory hardly differs between rounds.
    pub(crate) fn rounds(&self, options: &Options) -> usize {
        match self.work {
            Work::Idle | Work::TlsIdle => options.rounds.min(3),
            _ => options.rounds,
        }
    }

    /// Starts the server, puts this load on it, and ends it. One that compiles while it runs needs long to be itself: it
    /// is kept for the next round.
    pub(crate) async fn measure(
        &self,
        server: &Server,
        kept: &mut Option<ServerProcess>,
        options: &Options,
    ) -> Result<Measured> {
        let kept_before = kept.take();
        let is_warm = kept_before.is_some();
        let process = match kept_before {
            Some(process) => process,
            None => start(server, self.protocol(), options.server_cpus.as_deref()).await?,
        };
        match self.work {
            Work::Idle => idle(&process, options, None).await,
            Work::TlsIdle => idle(&process, options, Some(&tls::Client::new(Resumption::disabled())?)).await,
            work if matches!(server.program, Program::Named { .. }) => {
                let warm_up = if is_warm { options.warm_up } else { options.long_warm_up };
                let measured = window(work, &process, warm_up, options.length).await?;
                *kept = Some(process);
                Ok(measured)
            }
            work => window(work, &process, options.warm_up, options.length).await,
        }
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
            answered: progress.answered(),
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
    let mut after = Sample::take(process, &clients.progress)?;
    // A short window may be shorter than one answer.
    for _ in 0..50 {
        if after.answered > before.answered {
            break;
        }
        sleep(length).await;
        after = Sample::take(process, &clients.progress)?;
    }
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
            | Work::TlsAsk { connections, .. }
            | Work::Http2 { connections, .. } => (1, connections),
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
    let tls = Arc::new(tls::Client::new(resumption)?);
    runtime.block_on(async move {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let (progress, tls) = (progress.clone(), tls.clone());
            clients.spawn(async move {
                match work {
                    Work::Ask { ask, depth, .. } => {
                        let client = Client::start(connect(server).await?, server, ask, depth).await?;
                        keep_asking(client, &progress).await
                    }
                    Work::TlsAsk { ask, .. } => {
                        let client = Client::start(tls.connect(server).await?, server, ask, 1).await?;
                        keep_asking(client, &progress).await
                    }
                    Work::Connect { .. } => {
                        let connect = || async { Ok(TcpStream::connect(server).await?) };
                        keep_connecting(connect, server, &progress).await
                    }
                    Work::TlsConnect { .. } => {
                        keep_connecting(|| tls.connect(server), server, &progress).await
                    }
                    Work::Http2 { streams, .. } => keep_streaming(server, streams, &progress).await,
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

async fn keep_asking(
    mut client: Client<impl AsyncRead + AsyncWrite + Unpin>,
    progress: &Progress,
) -> Result<()> {
    loop {
        progress.add(client.turn().await?);
    }
}

/// With `streams` requests under way at any time.
async fn keep_streaming(server: SocketAddr, streams: u64, progress: &Progress) -> Result<()> {
    let mut client = http2::Client::start(server).await?;
    client.ask(streams);
    loop {
        let finished = client.turn().await?;
        client.ask(finished);
        progress.add(finished);
    }
}

/// What the server's memory grows by, divided by the connections that it grew for.
async fn idle(process: &ServerProcess, options: &Options, tls: Option<&tls::Client>) -> Result<Measured> {
    // What a first request allocates once is not a connection's.
    Idle::connect(process.address, 1, tls)?.ask(process.address)?;
    sleep(options.warm_up).await;
    let empty = process.resident()?;
    let mut idle = Idle::connect(process.address, options.idle, tls)?;
    sleep(options.settle).await;
    let fresh = process.resident()?;
    idle.ask(process.address)?;
    sleep(options.settle).await;
    let used = process.resident()?;

    let each = |resident: u64| resident.saturating_sub(empty) as f64 / options.idle as f64;
    Ok(vec![(Figure::IdleFresh, each(fresh)), (Figure::IdleUsed, each(used))])
}
