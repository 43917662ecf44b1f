//! Every octet of a connection in the log.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::{Layer, Service};

use super::{BoxIo, Connection, ConnectionInfo, ConnectionService};
use crate::telemetry::events;

/// Logs what is read and written, in hex and ASCII, at debug with the target
/// `kestrel_rs::connection_logging`.
///
/// Before TLS it sees ciphertext, after TLS plaintext: **passwords, cookies and all**. Where nobody
/// listens to that target it costs next to nothing.
///
/// ```text
/// read[18]
///  47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a   GET / HTTP/1.1..
///  0d 0a                                             ..
/// ```
///
/// # Example
///
/// ```
/// use kestrel_rs::connection::ConnectionLoggingLayer;
/// use kestrel_rs::Endpoint;
///
/// let endpoint = Endpoint::localhost(8080).layer(ConnectionLoggingLayer::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConnectionLoggingLayer {
    name: Cow<'static, str>,
}

impl ConnectionLoggingLayer {
    /// With no name.
    pub fn new() -> Self {
        Self::default()
    }

    /// A name for the field `name` of each event, to tell two such layers apart; default none.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }
}

impl<S: ConnectionService> Layer<S> for ConnectionLoggingLayer {
    type Service = ConnectionLogging<S>;

    fn layer(&self, inner: S) -> ConnectionLogging<S> {
        ConnectionLogging { inner, name: self.name.clone() }
    }
}

/// The service of [`ConnectionLoggingLayer`].
///
/// # Example
///
/// See [`ConnectionLoggingLayer`].
#[derive(Clone, Debug)]
pub struct ConnectionLogging<S> {
    inner: S,
    name: Cow<'static, str>,
}

impl<S: Service<Connection>> Service<Connection> for ConnectionLogging<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, connection: Connection) -> S::Future {
        if !events::octets_are_wanted() {
            return self.inner.call(connection);
        }
        let info = connection.info().clone();
        let name = self.name.clone();
        self.inner.call(connection.map_io(|io| BoxIo::new(LoggedIo { io, info, name })))
    }
}

/// The stream of a connection that is logged.
///
/// # Example
///
/// See [`ConnectionLoggingLayer`].
#[derive(Debug)]
pub struct LoggedIo {
    io: BoxIo,
    info: ConnectionInfo,
    name: Cow<'static, str>,
}

impl LoggedIo {
    fn log(&self, what: &str, octets: &[u8]) {
        events::octets(&self.info, &self.name, what, octets.len(), &Dump(octets));
    }
}

impl AsyncRead for LoggedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        self.log("read", &buf.filled()[before..]);
        Poll::Ready(result)
    }
}

impl AsyncWrite for LoggedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.log("write", &buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        self.log("end of write", &[]);
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, bufs))?;
        let written: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).take(n).collect();
        self.log("write", &written);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// Sixteen octets a line, in hex and in ASCII.
struct Dump<'a>(&'a [u8]);

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.chunks(16) {
            f.write_str("\n")?;
            for octet in line {
                write!(f, " {octet:02x}")?;
            }
            write!(f, "{:width$}", "", width = 3 * (16 - line.len()) + 3)?;
            for octet in line {
                let shown = if octet.is_ascii_graphic() || *octet == b' ' { char::from(*octet) } else { '.' };
                write!(f, "{shown}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Dump;

    #[test]
    fn a_dump_has_sixteen_octets_a_line() {
        let expected = "\n 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a   GET / HTTP/1.1..\
                        \n 0d ff                                             ..";
        assert_eq!(Dump(b"GET / HTTP/1.1\r\n\r\xff").to_string(), expected);
        assert_eq!(Dump(b"").to_string(), "");
    }
}
