//! An HTTP/1.1 client that costs little: fixed requests out, counted octets in.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Result;
use super::requests::{Ask, Requests};

/// Longer than most responses here; what is longer makes its room.
pub(crate) const RESPONSE_ROOM: usize = 4096;

/// One connection that is kept.
pub(crate) struct Client<S> {
    stream: S,
    requests: Requests,
    depth: u32,
    /// Never filled by a read: a full one makes tokio ask the socket again, in vain.
    responses: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Asks once, to learn how long an answer is.
    pub(crate) async fn start(mut stream: S, server: SocketAddr, ask: Ask, depth: u32) -> Result<Self> {
        let mut one = Requests::new(ask, server, 1);
        stream.write_all(one.next()).await?;
        stream.flush().await?;
        let mut first = Vec::with_capacity(RESPONSE_ROOM);
        while !one.is_answer(&first) {
            if stream.read_buf(&mut first).await? == 0 {
                return Err(unexpected(&first));
            }
        }
        let requests = Requests::new(ask, server, depth as usize);
        let responses = vec![0; first.len() * depth as usize + 1];
        Ok(Self { stream, requests, depth, responses })
    }

    /// All requests in one write, then all their responses. Returns how many.
    pub(crate) async fn turn(&mut self) -> Result<u64> {
        self.stream.write_all(self.requests.next()).await?;
        self.stream.flush().await?;
        let expected = self.responses.len() - 1;
        let mut filled = 0;
        while filled < expected {
            match self.stream.read(&mut self.responses[filled..]).await? {
                0 => return Err("closed by the server".into()),
                n => filled += n,
            }
        }
        if filled > expected || !self.requests.are_answers(&self.responses[..filled]) {
            return Err(unexpected(&self.responses[..filled]));
        }
        Ok(self.depth.into())
    }
}

/// In clear.
pub(crate) async fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) fn unexpected(responses: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    let begin = &responses[..responses.len().min(RESPONSE_ROOM)];
    format!("an unexpected response: {:?}", String::from_utf8_lossy(begin)).into()
}
