//! What a connection waits for, and how long it may: all of its time is here.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::timer::Timer;
use crate::http::rules::Rules;

/// What a connection waits for, as far as time matters. A number is that of the request before, so that a wait of the
/// same kind behind the next one is another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::enum_variant_names, reason = "they are read as `Waits::ForRequest`")]
pub(super) enum Waits {
    /// For us, or for the client to take what there is.
    ForAnswer,
    ForRequest(u64),
    ForRestOfHead(u64),
    ForUnreadBody(u64),
    ForEndOfStream,
}

/// What the time has come for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Due {
    /// What is waited for has not come in time.
    Late,
    /// The client takes what is written too slowly.
    TooSlow,
    /// Nothing has come for a while: memory can be given back.
    Sleep,
}

/// How long an unread body is read, and a client listened to that we are done with: Kestrel's time for draining.
const DRAIN: Duration = Duration::from_secs(5);

/// After this time without a request the buffers are let go of. To make them again costs half a microsecond, which so
/// often is nothing.
const SLEEP: Duration = Duration::from_millis(100);

/// The clock of a connection.
pub(super) struct Clock {
    waits: Waits,
    /// When the wait that `waits` names began.
    since: Instant,
    timer: Timer,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { waits: Waits::ForAnswer, since: Instant::now(), timer: Timer::default() }
    }

    /// Ready when the time has come for something. `now` is the time, where it is known; `slow` is when the client must
    /// have taken what is written; `awake`, that there is memory to give back.
    pub(super) fn poll(
        &mut self,
        waits: Waits,
        now: Option<Instant>,
        slow: Option<Instant>,
        awake: bool,
        rules: &Rules,
        cx: &mut Context<'_>,
    ) -> Poll<Due> {
        if waits != self.waits {
            self.waits = waits;
            self.since = now.unwrap_or_else(Instant::now);
        }
        // While the client has something to take, the rate at which it does is what counts.
        let late = patience(waits, rules).filter(|_| slow.is_none());
        let late = late.and_then(|patience| self.since.checked_add(patience));
        let sleep = (awake && matches!(waits, Waits::ForRequest(_))).then(|| self.since + SLEEP);
        let Some(next) = [late, slow, sleep].into_iter().flatten().min() else { return Poll::Pending };
        std::task::ready!(self.timer.poll(next, cx));
        let now = Instant::now();
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        Poll::Ready(match () {
            () if is_over(slow) => Due::TooSlow,
            () if is_over(late) => Due::Late,
            () => Due::Sleep,
        })
    }
}

/// How long a wait may last; `None` is for ever.
fn patience(waits: Waits, rules: &Rules) -> Option<Duration> {
    match waits {
        Waits::ForAnswer => None,
        Waits::ForRequest(_) => rules.keep_alive,
        Waits::ForRestOfHead(_) => rules.request_headers,
        Waits::ForUnreadBody(_) | Waits::ForEndOfStream => Some(DRAIN),
    }
}
