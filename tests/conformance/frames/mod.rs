//! Frames of HTTP/2 as octets (RFC 9113 section 4.1), for clients that send what no library would.
//!
//! | file | what |
//! |---|---|
//! | `encode` | recorded steps to octets |
//! | `seen` | what has come, frame by frame |
//! | `hpack` | reads blocks of fields |

pub(crate) mod encode;
mod hpack;
pub(crate) mod seen;

use crate::recording::latin1;

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const HAS_PRIORITY: u8 = 32;

/// A frame that has come.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The first frame of what has come, if it is whole, and its length.
    pub(crate) fn read(received: &[u8]) -> Option<(Self, usize)> {
        let (head, rest) = received.split_first_chunk::<9>()?;
        let length = number(&[0, head[0], head[1], head[2]]) as usize;
        let payload = rest.get(..length)?.to_vec();
        let stream = number(&head[5..]) & (u32::MAX >> 1);
        Some((Self { kind: head[3], flags: head[4], stream, payload }, 9 + length))
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload without padding, and without the priority of HEADERS.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        let mut content = &self.payload[..];
        if matches!(self.kind, DATA | HEADERS) && self.has(PADDED) {
            let (padding, rest) = content.split_first()?;
            content = rest.get(..rest.len().checked_sub(usize::from(*padding))?)?;
        }
        if self.kind == HEADERS && self.has(HAS_PRIORITY) {
            content = content.get(5..)?;
        }
        Some(content)
    }
}

/// The octets of a frame; `length` stands in its head in place of the true one.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], length: Option<u32>) -> Vec<u8> {
    let length = length.unwrap_or(u32::try_from(payload.len()).expect("a small frame")).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Four octets as a number; 0 if there are not so many.
pub(crate) fn number(octets: &[u8]) -> u32 {
    octets.first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets))
}

/// The name of an error code, as it was recorded.
pub(crate) fn code(octets: &[u8]) -> String {
    let code = number(octets);
    let name = format!("{:?}", h2::Reason::from(code));
    if name.starts_with("Reason") { format!("{code:#x}") } else { name }
}

/// A field as a literal without indexing, with a new name (RFC 7541 section 6.2.2).
pub(crate) fn literal(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for octets in [&*latin1(name), value] {
        // The length in a prefix of seven bits, and then in groups of seven (section 5.1).
        match octets.len().checked_sub(127) {
            None => field.push(u8::try_from(octets.len()).expect("seven bits")),
            Some(mut rest) => {
                field.push(127);
                while rest > 127 {
                    field.push(u8::try_from(rest % 128).expect("seven bits") | 128);
                    rest /= 128;
                }
                field.push(u8::try_from(rest).expect("seven bits"));
            }
        }
        field.extend(octets);
    }
    field
}
