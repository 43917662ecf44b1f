//! PINGs of ours, which find out whether a quiet client is there.

use std::task::{Context, Waker};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::Instant;

use super::follower::Signs;

/// Any whole frame answers, as with Kestrel.
pub(super) struct KeepAlivePings {
    ping: PingPong,
    delay: Duration,
    timeout: Option<Duration>,
    /// When the last PING was sent, and how many frames had come before.
    sent: Option<(Instant, u64)>,
}

impl KeepAlivePings {
    pub(super) fn new(ping: PingPong, delay: Duration, timeout: Option<Duration>) -> Self {
        Self { ping, delay, timeout, sent: None }
    }

    /// When to send the next PING, or to give up.
    pub(super) fn due(&self, signs: Signs) -> Option<Instant> {
        match self.unanswered_since(signs) {
            Some(sent) => sent.checked_add(self.timeout?),
            None => signs.last_frame.checked_add(self.delay),
        }
    }

    /// When the PING was sent after which nothing has come.
    pub(super) fn unanswered_since(&self, signs: Signs) -> Option<Instant> {
        self.sent.filter(|(_, frames)| *frames == signs.frames).map(|(sent, _)| sent)
    }

    pub(super) fn send(&mut self, signs: Signs) {
        // The answer to the one before is taken back, else h2 sends no other.
        let _ = self.ping.poll_pong(&mut Context::from_waker(Waker::noop()));
        // An error: one is on its way, or the connection ends.
        let _ = self.ping.send_ping(Ping::opaque());
        self.sent = Some((Instant::now(), signs.frames));
    }
}
