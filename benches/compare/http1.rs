//! HTTP/1.1 clients that cost little: fixed requests out, counted octets in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;
use crate::loads::Head;
use crate::progress::Progress;
use crate::protocol::HELLO;
use crate::tls::Client;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// Longer than any response head and body here.
const RESPONSE_ROOM: usize = 4096;

/// The octets of one request.
pub(crate) fn request(head: Head, authority: SocketAddr) -> Vec<u8> {
    let port = authority.port();
    let headers = match head {
        Head::Small => "",
        Head::Close => "Connection: close\r\n",
        Head::Browser => {
            "Connection: keep-alive\r\n\
             sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
             sec-ch-ua-mobile: ?0\r\n\
             sec-ch-ua-platform: \"Linux\"\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/142.0.0.0 Safari/537.36\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\n\
             Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
             Cookie: session=0d4c1f6ae7b24c0b9a51f2f7; theme=dark; consent=1\r\n"
        }
    };
    format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n").into_bytes()
}

/// One connection that is kept: `depth` requests in one write, all their responses, again.
pub(crate) async fn keep_asking(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    server: SocketAddr,
    head: Head,
    depth: u32,
    progress: &Progress,
) -> Result<()> {
    let request = request(head, server);

    stream.write_all(&request).await?;
    stream.flush().await?;
    let mut first = Vec::with_capacity(RESPONSE_ROOM);
    while !is_whole(&first) {
        if stream.read_buf(&mut first).await? == 0 {
            return Err("closed before the first response".into());
        }
    }

    let requests = request.repeat(depth as usize);
    let expected = first.len() * depth as usize;
    // Never filled by a read: a full one makes tokio ask the socket again, in vain.
    let mut responses = vec![0; expected + 1];
    loop {
        stream.write_all(&requests).await?;
        stream.flush().await?;
        let mut filled = 0;
        while filled < expected {
            match stream.read(&mut responses[filled..]).await? {
                0 => return Err("closed by the server".into()),
                n => filled += n,
            }
        }
        if filled > expected || !is_whole(&responses[..filled]) {
            return Err(unexpected(&responses[..filled]));
        }
        progress.add(depth.into());
    }
}

/// In clear.
pub(crate) async fn connect(server: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connection after connection, one request each, which the server is asked to close.
pub(crate) async fn keep_connecting<S: AsyncRead + AsyncWrite + Unpin, F: Future<Output = Result<S>>>(
    connect: impl Fn() -> F,
    server: SocketAddr,
    progress: &Progress,
) -> Result<()> {
    let request = request(Head::Close, server);
    let mut response = Vec::with_capacity(RESPONSE_ROOM);
    loop {
        let mut stream = connect().await?;
        stream.write_all(&request).await?;
        stream.flush().await?;
        response.clear();
        while stream.read_buf(&mut response).await? > 0 {}
        if !is_whole(&response) {
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
        let request = request(Head::Browser, server);
        for stream in &mut self.0 {
            stream.write_all(&request)?;
            let mut response = [0; RESPONSE_ROOM];
            let mut filled = 0;
            while !is_whole(&response[..filled]) {
                match stream.read(&mut response[filled..])? {
                    0 => return Err(unexpected(&response[..filled])),
                    n => filled += n,
                }
            }
        }
        Ok(())
    }
}

fn is_whole(responses: &[u8]) -> bool {
    responses.starts_with(OK) && responses.ends_with(HELLO.as_bytes())
}

fn unexpected(responses: &[u8]) -> Box<dyn std::error::Error + Send + Sync> {
    format!("an unexpected response: {:?}", String::from_utf8_lossy(responses)).into()
}
