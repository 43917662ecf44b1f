//! HTTP/1.1 clients whose connections do not last, or rest.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::common::Result;
use crate::common::http1::{RESPONSE_ROOM, unexpected};
use crate::common::requests::{Ask, Requests};
use crate::progress::Progress;
use crate::tls::Client;

/// Connection after connection, one request each, which the server is asked to close.
pub(crate) async fn keep_connecting<S: AsyncRead + AsyncWrite + Unpin, F: Future<Output = Result<S>>>(
    connect: impl Fn() -> F,
    server: SocketAddr,
    progress: &Progress,
) -> Result<()> {
    let mut request = Requests::new(Ask::Close, server, 1);
    let mut response = Vec::with_capacity(RESPONSE_ROOM);
    loop {
        let mut stream = connect().await?;
        stream.write_all(request.next()).await?;
        stream.flush().await?;
        response.clear();
        while stream.read_buf(&mut response).await? > 0 {}
        if !request.is_answer(&response) {
            return Err(unexpected(&response));
        }
        progress.add(1);
    }
}

/// Connections that do nothing by themselves, over sockets that block.
pub(crate) struct Idle(Vec<Box<dyn Stream>>);

trait Stream: std::io::Read + std::io::Write {}

impl<S: std::io::Read + std::io::Write> Stream for S {}

impl Idle {
    pub(crate) fn connect(server: SocketAddr, connections: usize, tls: Option<&Client>) -> Result<Self> {
        let connect = || -> Result<Box<dyn Stream>> {
            let stream = std::net::TcpStream::connect(server)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            Ok(match tls {
                Some(client) => Box::new(client.connect_blocking(stream)?),
                None => Box::new(stream),
            })
        };
        Ok(Self((0..connections).map(|_| connect()).collect::<Result<_>>()?))
    }

    /// One request on each of them.
    pub(crate) fn ask(&mut self, server: SocketAddr) -> Result<()> {
        let mut request = Requests::new(Ask::Browser, server, 1);
        for stream in &mut self.0 {
            stream.write_all(request.next())?;
            let mut response = [0; RESPONSE_ROOM];
            let mut filled = 0;
            while !request.is_answer(&response[..filled]) {
                match stream.read(&mut response[filled..])? {
                    0 => return Err(unexpected(&response[..filled])),
                    n => filled += n,
                }
            }
        }
        Ok(())
    }
}
