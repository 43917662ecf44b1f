//! Follows what a client sends by the heads of its frames (RFC 9113 section 4.1), without a copy: for time, for floods,
//! and for lengths whose fault h2 would name with another code. It only tells; the connection's task acts.

use std::collections::VecDeque;
use std::time::Duration;

use h2::Reason;
use tokio::time::Instant;

/// Frames that ask for work and bring none: how many a client may send within [`WINDOW`] beyond those that it earns by
/// frames of use. Twenty times what the busiest client was seen to send.
const BUDGET: u32 = 4_000;
const WINDOW: Duration = Duration::from_secs(10);
/// What a frame of use earns: a stream of small messages has a `WINDOW_UPDATE` or two for each.
const EARNED: u32 = 4;

/// The preface, of which the server has seen that it is one (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// A fault in what the client sent: the connection ends with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) what: &'static str,
}

/// Where the client is in what it sends.
#[derive(Debug)]
pub(super) struct Follower {
    /// What is left of the preface.
    preface: usize,
    /// What is left of the current frame's payload.
    payload: u32,
    /// The head of a frame that came in pieces.
    head: [u8; HEAD],
    have: usize,
    block: Block,
    peek: Peek,
    streams: ClientStreams,
    early: EarlyResets,
    budget: u32,
    budget_since: Instant,
    /// What the client has shown to be there by.
    pub(super) signs: Signs,
    /// The current frame is one when it is whole.
    counts: bool,
}

/// What a client shows to be there by: whole frames, but for an ACK of our SETTINGS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    pub(super) frames: u64,
    pub(super) last_frame: Instant,
    pub(super) last_ping: Option<Instant>,
}

/// The fields of a request, or its trailers, on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    None,
    /// The frame that is being read is not the last of the block, or is, with its payload on the way.
    Open {
        since: Instant,
        last: bool,
    },
}

const HEAD: usize = 9;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const PRIORITY: u8 = 2;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// A stream's number; the highest bit is reserved.
const STREAM: u32 = 0x7fff_ffff;

const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY_FIELDS: u8 = 0x20;

impl Follower {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            preface: PREFACE,
            payload: 0,
            head: [0; HEAD],
            have: 0,
            block: Block::None,
            peek: Peek::Nothing,
            streams: ClientStreams::default(),
            early: EarlyResets::default(),
            budget: BUDGET,
            budget_since: now,
            signs: Signs { frames: 0, last_frame: now, last_ping: None },
            counts: false,
        }
    }

    /// Since when a header block has been on its way.
    pub(super) fn block_since(&self) -> Option<Instant> {
        match self.block {
            Block::None => None,
            Block::Open { since, .. } => Some(since),
        }
    }

    /// The server has taken up this request, and those before it.
    pub(super) fn taken_up(&mut self, stream: u32) {
        self.early.taken_up = stream;
    }

    /// Takes what came next; with a fault, how many octets came before the frame that has it.
    pub(super) fn follow(&mut self, octets: &[u8], now: Instant) -> Result<(), (usize, Fault)> {
        let mut rest = octets;
        let skipped = self.preface.min(rest.len());
        self.preface -= skipped;
        rest = &rest[skipped..];
        while !rest.is_empty() {
            if self.payload > 0 {
                let at = octets.len() - rest.len();
                let (payload, behind) = rest.split_at(rest.len().min(self.payload as usize));
                self.peek.look(payload).map_err(|fault| (at, fault))?;
                self.payload -= u32::try_from(payload.len()).unwrap_or(self.payload);
                rest = behind;
                self.end_of_payload(now);
                continue;
            }
            let at = octets.len() - rest.len();
            let head = if self.have == 0 && rest.len() >= HEAD {
                let (head, behind) = rest.split_at(HEAD);
                rest = behind;
                <[u8; HEAD]>::try_from(head).unwrap_or_default()
            } else {
                let n = (HEAD - self.have).min(rest.len());
                self.head[self.have..self.have + n].copy_from_slice(&rest[..n]);
                self.have += n;
                rest = &rest[n..];
                if self.have < HEAD {
                    return Ok(());
                }
                self.have = 0;
                self.head
            };
            self.begin(head, now).map_err(|fault| (at, fault))?;
            self.end_of_payload(now);
        }
        Ok(())
    }

    fn end_of_payload(&mut self, now: Instant) {
        if self.payload > 0 {
            return;
        }
        if std::mem::take(&mut self.counts) {
            self.signs.frames += 1;
            self.signs.last_frame = now;
        }
        if let Block::Open { last: true, .. } = self.block {
            self.block = Block::None;
        }
    }

    fn begin(&mut self, head: [u8; HEAD], now: Instant) -> Result<(), Fault> {
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let stream = u32::from_be_bytes(stream) & STREAM;
        check_length(kind, flags, length)?;
        let inside_block =
            kind != kind::CONTINUATION && matches!(self.block, Block::Open { last: false, .. });
        if !inside_block {
            self.streams.take(kind, flags, stream)?; // else h2 says what is wrong
        }
        if kind == kind::RST_STREAM && stream <= self.streams.highest {
            self.early.take(stream)?;
        }
        self.peek = Peek::new(kind, flags, stream);
        self.counts = !(kind == kind::SETTINGS && flags & ACK != 0);
        match kind {
            kind::HEADERS | kind::CONTINUATION => {
                let since = self.block_since().unwrap_or(now);
                self.block = Block::Open { since, last: flags & END_HEADERS != 0 };
            }
            kind::PING => self.signs.last_ping = Some(now),
            _ => {}
        }
        let is_of_use = match kind {
            kind::DATA => length > 0 || flags & END_STREAM != 0,
            kind::HEADERS => true,
            kind::CONTINUATION => length > 0,
            _ => false,
        };
        if is_of_use {
            self.budget = (self.budget + EARNED).min(BUDGET);
        } else {
            self.spend(now)?;
        }
        self.payload = length;
        Ok(())
    }

    fn spend(&mut self, now: Instant) -> Result<(), Fault> {
        if self.budget == 0 && now.duration_since(self.budget_since) >= WINDOW {
            (self.budget, self.budget_since) = (BUDGET, now);
        }
        match self.budget.checked_sub(1) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(Fault {
                reason: Reason::ENHANCE_YOUR_CALM,
                what: "more frames that bring nothing than any client needs",
            }),
        }
    }
}

/// The streams on which the client may send, from what it has sent.
#[derive(Debug, Default)]
struct ClientStreams {
    /// Those that it has not ended, in order.
    open: VecDeque<u32>,
    highest: u32,
}

/// More than this many requests are not on their way at a time. Those that the server has reset are never ended by
/// their client, and are forgotten from here on.
const MOST_OPEN: usize = 1024;

impl ClientStreams {
    /// Frames on a stream that the client has ended are a fault of the connection (RFC 9113 section 5.1); those on one
    /// that it never opened h2 sees as Kestrel does.
    fn take(&mut self, kind: u8, flags: u8, stream: u32) -> Result<(), Fault> {
        let ends = flags & END_STREAM != 0;
        match kind {
            kind::HEADERS if stream > self.highest => {
                self.highest = stream;
                if !ends {
                    self.open.push_back(stream);
                }
                if self.open.len() > MOST_OPEN {
                    self.open.pop_front();
                }
            }
            kind::HEADERS | kind::DATA if stream != 0 && stream <= self.highest => {
                let at = self.open.binary_search(&stream).map_err(|_| Fault {
                    reason: Reason::STREAM_CLOSED,
                    what: "a frame on a stream that its client has ended",
                })?;
                if ends {
                    self.open.remove(at);
                }
            }
            kind::RST_STREAM => {
                if let Ok(at) = self.open.binary_search(&stream) {
                    self.open.remove(at);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Requests that their client has reset before the server took them up ("rapid reset"). h2 counts them too, and says so
/// with an event at warn, which no client is to cause: the limit strikes here first.
#[derive(Debug, Default)]
struct EarlyResets {
    /// The last request that was.
    taken_up: u32,
    /// Those behind it that are reset.
    reset: Vec<u32>,
}

/// More than one look at what has come brings from a client that changes its mind; the default of h2.
pub(super) const MOST_EARLY_RESETS: usize = 20;

impl EarlyResets {
    fn take(&mut self, stream: u32) -> Result<(), Fault> {
        self.reset.retain(|reset| *reset > self.taken_up);
        if stream > self.taken_up {
            self.reset.push(stream);
        }
        if self.reset.len() > MOST_EARLY_RESETS {
            return Err(Fault {
                reason: Reason::ENHANCE_YOUR_CALM,
                what: "more requests reset at once than any client changes its mind about",
            });
        }
        Ok(())
    }
}

/// What is looked for in a payload, wherever it is cut.
#[derive(Debug)]
enum Peek {
    Nothing,
    /// The stream that a stream depends on, behind so many octets.
    Dependency {
        stream: u32,
        skip: usize,
        octets: [u8; 4],
        have: usize,
    },
    /// One setting after the other.
    Settings {
        octets: [u8; 6],
        have: usize,
    },
}

impl Peek {
    fn new(kind: u8, flags: u8, stream: u32) -> Self {
        let skip = match kind {
            kind::SETTINGS => return Self::Settings { octets: [0; 6], have: 0 },
            kind::PRIORITY => 0,
            kind::HEADERS if flags & PRIORITY_FIELDS != 0 => usize::from(flags & PADDED != 0),
            _ => return Self::Nothing,
        };
        Self::Dependency { stream, skip, octets: [0; 4], have: 0 }
    }

    fn look(&mut self, payload: &[u8]) -> Result<(), Fault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Dependency { stream, skip, octets, have } => {
                let skipped = payload.len().min(*skip);
                *skip -= skipped;
                fill(octets, have, &payload[skipped..]);
                if *have < octets.len() {
                    return Ok(());
                }
                let on_itself = u32::from_be_bytes(*octets) & STREAM == *stream;
                *self = Self::Nothing;
                let fault = Fault { reason: Reason::PROTOCOL_ERROR, what: "a stream that depends on itself" };
                if on_itself { Err(fault) } else { Ok(()) }
            }
            Self::Settings { octets, have } => {
                let mut rest = payload;
                while !rest.is_empty() {
                    rest = &rest[fill(octets, have, rest)..];
                    if *have == octets.len() {
                        *have = 0;
                        check_setting(*octets)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Fills up `octets`; how many of `from` it took.
fn fill(octets: &mut [u8], have: &mut usize, from: &[u8]) -> usize {
    let n = (octets.len() - *have).min(from.len());
    octets[*have..*have + n].copy_from_slice(&from[..n]);
    *have += n;
    n
}

/// RFC 9113 section 6.5.2: a window over its most is a fault of its own kind.
fn check_setting([id_high, id_low, value @ ..]: [u8; 6]) -> Result<(), Fault> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let is_window = u16::from_be_bytes([id_high, id_low]) == INITIAL_WINDOW_SIZE;
    if is_window && u32::from_be_bytes(value) > STREAM {
        return Err(Fault { reason: Reason::FLOW_CONTROL_ERROR, what: "a window over the largest" });
    }
    Ok(())
}

/// RFC 9113 section 6 gives each kind of frame its length.
fn check_length(kind: u8, flags: u8, length: u32) -> Result<(), Fault> {
    let padding = u32::from(flags & PADDED != 0);
    let good = match kind {
        kind::DATA => length >= padding,
        kind::HEADERS => length >= padding + if flags & PRIORITY_FIELDS == 0 { 0 } else { 5 },
        kind::PRIORITY => length == 5,
        kind::RST_STREAM | kind::WINDOW_UPDATE => length == 4,
        kind::SETTINGS if flags & ACK != 0 => length == 0,
        kind::SETTINGS => length.is_multiple_of(6),
        kind::PING => length == 8,
        _ => true,
    };
    if good {
        Ok(())
    } else {
        Err(Fault { reason: Reason::FRAME_SIZE_ERROR, what: "a frame of a wrong length" })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    fn begun(now: Instant) -> Follower {
        let mut follower = Follower::new(now);
        follower.follow(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now).unwrap();
        assert_eq!(follower.preface, 0);
        follower
    }

    #[test]
    fn sees_the_same_in_any_pieces() {
        let start = Instant::now();
        let sent = [
            frame(kind::SETTINGS, 0, &[0; 12]),
            frame(kind::HEADERS, 0, b"abc"),
            frame(kind::CONTINUATION, END_HEADERS, b"defg"),
            frame(kind::PING, 0, &[0; 8]),
            frame(kind::HEADERS, END_HEADERS, b"half")[..11].to_vec(),
        ]
        .concat();
        for size in 1..=sent.len() {
            let mut follower = begun(start);
            for piece in sent.chunks(size) {
                follower.follow(piece, start).unwrap();
            }
            assert_eq!(follower.signs.last_ping, Some(start), "{size}");
            assert_eq!(follower.block_since(), Some(start), "{size}");
            assert_eq!(follower.budget, BUDGET, "{size}");
        }
    }

    #[test]
    fn a_block_is_open_until_its_last_octet() {
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let mut follower = begun(start);
        let block = [frame(kind::HEADERS, 0, b"abc"), frame(kind::CONTINUATION, END_HEADERS, b"d")].concat();
        for octet in &block[..HEAD] {
            assert_eq!(follower.block_since(), None);
            follower.follow(&[*octet], start).unwrap();
        }
        for octet in &block[HEAD..] {
            assert_eq!(follower.block_since(), Some(start));
            follower.follow(&[*octet], later).unwrap();
        }
        assert_eq!(follower.block_since(), None);
        assert_eq!(follower.signs.last_frame, later);
    }

    #[test]
    fn names_wrong_lengths_and_where_they_stand() {
        let now = Instant::now();
        for (kind, flags, length) in [
            (kind::PING, 0, 7),
            (kind::PRIORITY, 0, 4),
            (kind::RST_STREAM, 0, 3),
            (kind::WINDOW_UPDATE, 0, 5),
            (kind::SETTINGS, 0, 5),
            (kind::SETTINGS, ACK, 6),
            (kind::DATA, PADDED, 0),
            (kind::HEADERS, PADDED | PRIORITY_FIELDS, 5),
        ] {
            let sent = [frame(kind::HEADERS, 0, b"abc"), frame(kind, flags, &vec![0; length])].concat();
            let (at, fault) = begun(now).follow(&sent, now).unwrap_err();
            assert_eq!((at, fault.reason), (12, Reason::FRAME_SIZE_ERROR), "{kind}");
        }
    }

    fn on(stream: u8, mut frame: Vec<u8>) -> Vec<u8> {
        frame[8] = stream;
        frame
    }

    fn faults(sent: &[u8]) -> Option<Reason> {
        let now = Instant::now();
        let whole = begun(now).follow(sent, now).err().map(|(_, fault)| fault.reason);
        for size in 1..sent.len() {
            let mut follower = begun(now);
            let cut = sent.chunks(size).find_map(|piece| follower.follow(piece, now).err());
            assert_eq!(cut.map(|(_, fault)| fault.reason), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn a_stream_that_its_client_has_ended_is_closed() {
        let headers = |stream, flags| on(stream, frame(kind::HEADERS, END_HEADERS | flags, b"a"));
        let data = |stream, flags| on(stream, frame(kind::DATA, flags, b"a"));
        let rst = |stream| on(stream, frame(kind::RST_STREAM, 0, &[0; 4]));
        let good =
            [headers(1, 0), headers(3, 0), data(1, 0), data(3, 0), headers(1, END_STREAM), rst(3), rst(3)];
        assert_eq!(faults(&good.concat()), None);
        for bad in [
            [headers(1, END_STREAM), data(1, 0)],
            [headers(1, END_STREAM), headers(1, END_STREAM)],
            [headers(3, END_STREAM), headers(1, END_STREAM)],
            [[headers(1, 0), data(1, END_STREAM)].concat(), data(1, 0)],
            [[headers(1, 0), rst(1)].concat(), data(1, 0)],
        ] {
            assert_eq!(faults(&bad.concat()), Some(Reason::STREAM_CLOSED), "{bad:?}");
        }
        assert_eq!(faults(&data(1, 0)), None, "h2 sees that it was never opened");
    }

    #[test]
    fn requests_that_are_reset_before_they_are_taken_up_are_few() {
        let now = Instant::now();
        let mut follower = begun(now);
        let (first, last) = (1, 2 * u8::try_from(MOST_EARLY_RESETS).unwrap() - 1);
        let request = |stream| on(stream, frame(kind::HEADERS, END_HEADERS | END_STREAM, b"a"));
        let reset = |stream| [request(stream), on(stream, frame(kind::RST_STREAM, 0, &[0; 4]))].concat();
        for stream in (first..=last).step_by(2) {
            follower.follow(&reset(stream), now).unwrap();
        }
        follower.taken_up(first.into());
        follower.follow(&reset(last + 2), now).unwrap();
        let (at, fault) = follower.follow(&reset(last + 4), now).unwrap_err();
        assert_eq!((at, fault.reason), (request(1).len(), Reason::ENHANCE_YOUR_CALM));
    }

    #[test]
    fn streams_that_are_never_ended_are_forgotten() {
        let mut streams = ClientStreams::default();
        for stream in 0..5000 {
            streams.take(kind::HEADERS, 0, 2 * stream + 1).unwrap();
        }
        assert_eq!(streams.open.len(), MOST_OPEN);
        assert!(streams.take(kind::DATA, 0, 1).is_err());
        assert!(streams.take(kind::DATA, 0, 9999).is_ok());
    }

    #[test]
    fn a_stream_does_not_depend_on_itself() {
        let fields = [0, 0, 0, 1, 16];
        let padded = [&[0][..], &fields].concat();
        assert_eq!(faults(&frame(kind::PRIORITY, 0, &fields)), Some(Reason::PROTOCOL_ERROR));
        let headers = frame(kind::HEADERS, PRIORITY_FIELDS | END_HEADERS, &fields);
        assert_eq!(faults(&headers), Some(Reason::PROTOCOL_ERROR));
        let headers = frame(kind::HEADERS, PADDED | PRIORITY_FIELDS | END_HEADERS, &padded);
        assert_eq!(faults(&headers), Some(Reason::PROTOCOL_ERROR));
        assert_eq!(faults(&frame(kind::PRIORITY, 0, &[0, 0, 0, 3, 16])), None);
    }

    #[test]
    fn a_window_has_a_largest_size() {
        let settings = |window: u32| {
            let window = window.to_be_bytes();
            frame(kind::SETTINGS, 0, &[&[0, 3, 0, 0, 0, 9, 0, 4][..], &window].concat())
        };
        assert_eq!(faults(&settings(0x7fff_ffff)), None);
        assert_eq!(faults(&settings(0x8000_0000)), Some(Reason::FLOW_CONTROL_ERROR));
    }

    #[test]
    fn frames_that_bring_nothing_are_counted() {
        let start = Instant::now();
        let mut follower = begun(start);
        let ping = frame(kind::PING, 0, &[0; 8]);
        for _ in 0..BUDGET {
            follower.follow(&ping, start).unwrap();
        }
        let (_, fault) = follower.follow(&ping, start).unwrap_err();
        assert_eq!(fault.reason, Reason::ENHANCE_YOUR_CALM);
        follower.follow(&frame(kind::DATA, 0, b"a"), start).unwrap();
        follower.follow(&ping.repeat(EARNED as usize), start).unwrap();
        assert!(follower.follow(&ping, start).is_err());
        follower.follow(&ping, start + WINDOW).unwrap();
    }
}
