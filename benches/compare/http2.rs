//! An HTTP/2 client that costs little: it knows what it asks for, so it looks only at the heads of frames.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;
use crate::progress::Progress;
use crate::protocol::HELLO;

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

/// One connection, with `streams` requests under way at any time.
pub(crate) async fn keep_asking(server: SocketAddr, streams: u64, progress: &Progress) -> Result<()> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;

    let mut out = PREFACE.to_vec();
    put_frame(&mut out, SETTINGS, 0, 0, &[]);
    // All the window there is, so that it need not be given back.
    put_frame(&mut out, WINDOW_UPDATE, 0, 0, &(0x7fff_ffff_u32 - 0xffff).to_be_bytes());
    let mut next = 1;
    let authority = format!("localhost:{}", server.port());
    let first = [&FIRST_REQUEST[..], &[u8::try_from(authority.len())?], authority.as_bytes()].concat();
    put_frame(&mut out, HEADERS, END_STREAM | END_HEADERS, next, &first);
    ask(&mut out, &mut next, streams - 1);

    let mut input = Vec::with_capacity(ROOM);
    loop {
        stream.write_all(&out).await?;
        out.clear();
        let mut finished = 0;
        while out.is_empty() {
            if stream.read_buf(&mut input).await? == 0 {
                return Err("closed by the server".into());
            }
            finished += take_frames(&mut input, &mut out)?;
            ask(&mut out, &mut next, finished);
        }
        progress.add(finished);
    }
}

/// Appends `count` more requests.
fn ask(out: &mut Vec<u8>, next: &mut u32, count: u64) {
    for _ in 0..count {
        *next += 2;
        put_frame(out, HEADERS, END_STREAM | END_HEADERS, *next, &REQUEST);
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
