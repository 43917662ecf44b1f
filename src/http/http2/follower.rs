//! Follows what a client sends by the heads of its frames (RFC 9113 section 4.1), without a copy: for time, for floods,
//! and for lengths whose fault h2 would name with another code. It only tells; the connection's task acts.

use h2::Reason;
use tokio::time::Instant;

/// Frames that ask for work and bring none: how many a client may send within [`WINDOW`] beyond those that it earns by
/// frames of use. Twenty times what the busiest client was seen to send.
const BUDGET: u32 = 4_000;
const WINDOW: std::time::Duration = std::time::Duration::from_secs(10);
/// What a frame of use earns: a stream of small messages has a WINDOW_UPDATE or two for each.
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

    /// Takes what came next; with a fault, how many octets came before the frame that has it.
    pub(super) fn follow(&mut self, octets: &[u8], now: Instant) -> Result<(), (usize, Fault)> {
        let mut rest = octets;
        let skipped = self.preface.min(rest.len());
        self.preface -= skipped;
        rest = &rest[skipped..];
        while !rest.is_empty() {
            if self.payload > 0 {
                let skipped = rest.len().min(self.payload as usize);
                self.payload -= u32::try_from(skipped).unwrap_or(self.payload);
                rest = &rest[skipped..];
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
        let [high, middle, low, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        check_length(kind, flags, length)?;
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
            let sent = [frame(kind::DATA, 0, b"abc"), frame(kind, flags, &vec![0; length])].concat();
            let (at, fault) = begun(now).follow(&sent, now).unwrap_err();
            assert_eq!((at, fault.reason), (12, Reason::FRAME_SIZE_ERROR), "{kind}");
        }
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
