//! What has come of a server of HTTP/2, by its frames.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::hpack::Decoder;
use super::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, code, number,
};
use crate::recording::from_latin1;

/// Everything that has come so far.
#[derive(Default)]
pub(crate) struct Seen {
    /// What is no whole frame yet.
    pub(crate) rest: Vec<u8>,
    pub(crate) end: Option<&'static str>,
    pub(crate) streams: BTreeMap<u32, Stream>,
    /// What `WINDOW_UPDATE` has added.
    pub(crate) windows: BTreeMap<u32, u64>,
    pub(crate) settings: Vec<Value>,
    pub(crate) settings_acks: u64,
    pub(crate) ping_acks: Vec<String>,
    pub(crate) goaways: Vec<(u32, String)>,
    /// The sizes of the table that our SETTINGS allow, which count once they are acknowledged.
    pub(crate) tables: VecDeque<Option<u32>>,
    pub(crate) sent_data: bool,
    /// Of the connection, before any DATA of ours.
    pub(crate) server_window: u64,
    hpack: Decoder,
    /// The stream and the block of fields that is on its way, and whether it ends the stream.
    block: Option<(u32, Vec<u8>, bool)>,
    /// What is no frame.
    pub(crate) text: Vec<u8>,
    pub(crate) malformed: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) status: Option<u16>,
    pub(crate) informational: Vec<u16>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_ended: bool,
    pub(crate) rst: Option<String>,
    pub(crate) headers: Vec<Field>,
    pub(crate) trailers: Vec<Field>,
}

/// A name, and the octets of a value.
pub(crate) type Field = (String, Vec<u8>);

impl Stream {
    pub(crate) fn is_over(&self) -> bool {
        self.is_ended || self.rst.is_some()
    }
}

impl Seen {
    /// Takes the frames that are whole; the answers to them that a client owes.
    pub(crate) fn take(&mut self) -> Vec<Frame> {
        let mut owed = Vec::new();
        loop {
            let is_text = !self.text.is_empty()
                || self.rest.starts_with(b"HTTP/")
                || self.rest.len() >= 9 && number(&self.rest) >> 8 > LARGEST;
            if is_text {
                self.text.append(&mut self.rest);
            }
            let Some((frame, length)) = Frame::read(&self.rest) else { return owed };
            self.rest.drain(..length);
            if let Err(what) = self.take_frame(&frame) {
                self.malformed.push(what);
            }
            if matches!(frame.kind, SETTINGS | PING) && !frame.has(ACK) {
                owed.push(frame);
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame) -> Result<(), String> {
        let content = frame.content().ok_or("padding longer than its frame")?;
        match frame.kind {
            SETTINGS if frame.has(ACK) => {
                self.settings_acks += 1;
                if let Some(Some(size)) = self.tables.pop_front() {
                    self.hpack.allowed = size as usize;
                }
            }
            SETTINGS => {
                let each = content.chunks_exact(6);
                let mut settings: Vec<_> =
                    each.map(|one| [u32::from(one[0]) << 8 | u32::from(one[1]), number(&one[2..])]).collect();
                settings.sort_unstable();
                self.settings.push(json!(settings));
            }
            PING if frame.has(ACK) => {
                let payload = content.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets));
                self.ping_acks.push(format!("{payload:016x}"));
            }
            GOAWAY => self.goaways.push((number(content), code(content.get(4..).unwrap_or_default()))),
            WINDOW_UPDATE => {
                let increment = u64::from(number(content));
                *self.windows.entry(frame.stream).or_default() += increment;
                if frame.stream == 0 && !self.sent_data {
                    self.server_window += increment;
                }
            }
            RST_STREAM => _ = self.stream(frame).rst.get_or_insert_with(|| code(content)),
            DATA => {
                let stream = self.stream(frame);
                stream.body.extend_from_slice(content);
                stream.is_ended |= frame.has(END_STREAM);
            }
            HEADERS => {
                self.block = Some((frame.stream, content.to_vec(), frame.has(END_STREAM)));
                self.end_block(frame)?;
            }
            CONTINUATION => {
                let block = self.block.as_mut().filter(|(stream, ..)| *stream == frame.stream);
                let (_, octets, _) = block.ok_or("CONTINUATION of nothing")?;
                octets.extend_from_slice(content);
                self.end_block(frame)?;
            }
            PRIORITY | PUSH_PROMISE => return Err(format!("a frame of type {} from a server", frame.kind)),
            _ => {}
        }
        Ok(())
    }

    fn stream(&mut self, frame: &Frame) -> &mut Stream {
        self.streams.entry(frame.stream).or_default()
    }

    fn end_block(&mut self, frame: &Frame) -> Result<(), String> {
        let Some((_, block, end_stream)) = self.block.take_if(|_| frame.has(END_HEADERS)) else {
            return Ok(());
        };
        let fields = self.hpack.decode(&block)?;
        let stream = self.stream(frame);
        let mut fields: Vec<Field> =
            fields.into_iter().map(|(name, value)| (from_latin1(&name), value)).collect();
        let status = fields.iter().position(|(name, _)| name == ":status").map(|at| fields.remove(at).1);
        let status = status
            .map(|status| from_latin1(&status).parse().map_err(|_| "a status that is none"))
            .transpose()?;
        stream.is_ended |= end_stream;
        match status {
            None => stream.trailers = fields,
            Some(status) if status / 100 == 1 => stream.informational.push(status),
            Some(_) if stream.status.is_some() => return Err("a second answer".to_owned()),
            Some(_) => (stream.status, stream.headers) = (status, fields),
        }
        Ok(())
    }

    /// Whether this has come: `headers:STREAM`, `data:STREAM:OCTETS`, `ping_ack:TIMES`..
    pub(crate) fn has(&self, what: &str) -> bool {
        let mut parts = what.split(':');
        let kind = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|number| number.parse::<u32>().ok());
        let (first, second) = (number().unwrap_or(1), number().unwrap_or_default());
        let stream = self.streams.get(&first);
        match kind {
            "settings" => !self.settings.is_empty(),
            "settings_ack" => self.settings_acks >= first.into(),
            "ping_ack" => self.ping_acks.len() >= first as usize,
            "goaway" => !self.goaways.is_empty(),
            "headers" => stream.is_some_and(|s| s.status.is_some() || !s.informational.is_empty()),
            "end" => stream.is_some_and(Stream::is_over),
            "rst" => stream.is_some_and(|stream| stream.rst.is_some()),
            "data" => stream.is_some_and(|s| s.body.len() >= second as usize || s.is_over()),
            "window" => self.windows.get(&first).copied().unwrap_or_default() >= second.into(),
            _ => false, // the end of the connection ends every step
        }
    }
}

/// No server sends a larger frame: it is no frame.
const LARGEST: u32 = 1 << 20;
