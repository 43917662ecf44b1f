//! An HTTP/2 client that costs little: it knows what it asks for, so it looks only at the heads of frames.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Result;
use super::http1::connect;
use super::protocol::HELLO;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const ROOM: usize = 64 * 1024;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// `:method: GET`, `:scheme: http`, `:path: /` from HPACK's static table, and `:authority` to be remembered by
/// the server; its length and text follow.
const FIRST_REQUEST: [u8; 4] = [0x82, 0x86, 0x84, 0x41];
/// The same with the authority that was remembered.
const REQUEST: [u8; 4] = [0x82, 0x86, 0x84, 0xbe];

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    next: u32,
    /// What is to be sent at the next turn.
    out: Vec<u8>,
    input: Vec<u8>,
}

impl Client {
    /// Asks once, so that the server knows the authority.
    pub(crate) async fn start(server: SocketAddr) -> Result<Self> {
        let mut out = PREFACE.to_vec();
        put_frame(&mut out, SETTINGS, 0, 0, &[]);
        // All the window there is, so that it need not be given back.
        put_frame(&mut out, WINDOW_UPDATE, 0, 0, &(0x7fff_ffff_u32 - 0xffff).to_be_bytes());
        let authority = format!("localhost:{}", server.port());
        let first = [&FIRST_REQUEST[..], &[u8::try_from(authority.len())?], authority.as_bytes()].concat();
        put_frame(&mut out, HEADERS, END_STREAM | END_HEADERS, 1, &first);
        let mut client =
            Self { stream: connect(server).await?, next: 3, out, input: Vec::with_capacity(ROOM) };
        client.answers(1).await?;
        Ok(client)
    }

    /// So many more requests, with the next turn.
    pub(crate) fn ask(&mut self, count: u64) {
        for _ in 0..count {
            put_frame(&mut self.out, HEADERS, END_STREAM | END_HEADERS, self.next, &REQUEST);
            self.next += 2;
        }
    }

    /// One write, if there is something to send, and reads until there is news. Returns how many responses ended.
    pub(crate) async fn turn(&mut self) -> Result<u64> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        let mut finished = 0;
        while finished == 0 && self.out.is_empty() {
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err("closed by the server".into());
            }
            finished = take_frames(&mut self.input, &mut self.out)?;
        }
        Ok(finished)
    }

    /// Turns until so many responses have ended.
    pub(crate) async fn answers(&mut self, count: u64) -> Result<()> {
        let mut finished = 0;
        while finished < count {
            finished += self.turn().await?;
        }
        Ok(())
    }
}

/// Takes every whole frame from `input`, puts the answers that HTTP/2 wants into `out`, and counts the responses that ended.
fn take_frames(input: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<u64> {
    let mut rest = input.as_slice();
    let mut finished = 0;
    while let [l0, l1, l2, kind, flags, _, _, _, _, after @ ..] = rest {
        let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        let Some(payload) = after.get(..length) else { break };
        match *kind {
            DATA if length > 0 && payload != HELLO.as_bytes() => return Err("an unexpected body".into()),
            DATA | HEADERS => finished += u64::from(flags & END_STREAM),
            SETTINGS if flags & ACK == 0 => put_frame(out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => put_frame(out, PING, ACK, 0, payload),
            RST_STREAM => return Err("a stream was reset".into()),
            GOAWAY => return Err("the server goes away".into()),
            _ => {}
        }
        rest = &after[length..];
    }
    let taken = input.len() - rest.len();
    input.drain(..taken);
    Ok(finished)
}

fn put_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.reserve(FRAME_HEAD + payload.len());
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}
