//! What can be set on a listening socket.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How sockets are set up.
///
/// Setters consume and return the options, so that they chain.
///
/// # Defaults
///
/// | option | default | on |
/// |---|---|---|
/// | [`backlog`](Self::backlog) | 512 connections | TCP, Unix |
/// | [`without_nodelay`](Self::without_nodelay) | `TCP_NODELAY` is set | TCP |
/// | [`keepalive`](Self::keepalive) | `None`, no probes | TCP |
/// | [`with_reuse_port`](Self::with_reuse_port) | off | TCP |
///
/// `SO_REUSEADDR` is always set on TCP: a server that restarts gets its port back at once.
///
/// # Differences from Kestrel
///
/// There keep-alive and `SO_REUSEPORT` need a socket of your own.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kestrel_rs::listener::{KestrelListener, SocketOptions};
///
/// let options = SocketOptions::default().backlog(4096).keepalive(Duration::from_secs(60));
/// let builder = KestrelListener::builder().socket_options(options);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    pub(crate) backlog: u32,
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) reuse_port: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { backlog: 512, nodelay: true, keepalive: None, reuse_port: false }
    }
}

impl SocketOptions {
    /// How many connections may wait until they are accepted; default 512. The system has a limit
    /// of its own (`net.core.somaxconn`), and the lower one counts.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Lets the system hold small writes back (Nagle's algorithm); default: it does not. Answers
    /// that are written in pieces may then come 40 ms late.
    pub fn without_nodelay(mut self) -> Self {
        self.nodelay = false;
        self
    }

    /// After how much silence the system asks whether the client is still there; default `None`,
    /// never; whole seconds, 1 to 32,767.
    ///
    /// A client that has vanished is found without it too, by the timeouts of
    /// [`Limits`](crate::Limits); what has none, a silent WebSocket, needs this.
    pub fn keepalive(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.keepalive = after.into();
        self
    }

    /// Lets several sockets listen on one port (`SO_REUSEPORT`), the system spreads connections
    /// over them; default off. Any process of the same user may then join in, and a port that is
    /// in use by mistake goes unnoticed.
    pub fn with_reuse_port(mut self) -> Self {
        self.reuse_port = true;
        self
    }

    /// Whether all values can be: the first that cannot is the error, with the name of its option.
    /// [`bind`](crate::listener::Builder::bind) calls it.
    pub fn check(&self) -> Result<(), Error> {
        match self.keepalive {
            Some(after) if after < KEEPALIVES.0 || after > KEEPALIVES.1 => {
                let (least, most) = KEEPALIVES;
                let what = format!(
                    "keepalive: {after:?} is not allowed; {least:?} to {most:?} is, or None for never"
                );
                Err(Error::new(ErrorKind::Option, what))
            }
            _ => Ok(()),
        }
    }
}

/// In whole seconds, of which Linux counts so many (`MAX_TCP_KEEPIDLE`).
const KEEPALIVES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(32_767));
