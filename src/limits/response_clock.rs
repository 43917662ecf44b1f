//! When a client must have taken what is written to it, at a minimum data rate.

use std::time::Duration;

use tokio::time::Instant;

use super::MinDataRate;

/// What a stream may hold of an answer without the client having taken it.
const HELD_BY_A_STREAM: u64 = 64 * 1024;

/// The clock of a response rate, for every version of HTTP: it is told what is written and when the client takes no
/// more, and says when that has lasted too long.
///
/// Each write earns its own time, at least the grace, and adds to what earlier ones have left, as in Kestrel's
/// `BytesWrittenToBuffer`, but for two things. No more time is kept than what a stream holds may take: there a client
/// that took 10 MB at once may then hold the connection for half a day. And what is written while the client takes no
/// more earns no grace: it goes in the small pieces that the client takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseClock {
    rate: Option<MinDataRate>,
    /// The most time that is kept at this rate.
    most: Duration,
    /// When the client must have taken everything written so far.
    deadline: Option<Instant>,
    stalled: bool,
}

impl ResponseClock {
    /// Whether there is a rate; without one nothing is ever due.
    pub(crate) fn runs(&self) -> bool {
        self.rate.is_some()
    }

    /// The rate at which what is written from now on must be taken.
    pub(crate) fn set_rate(&mut self, rate: Option<MinDataRate>) {
        if rate == self.rate {
            return; // as nearly always
        }
        self.rate = rate;
        match rate {
            Some(rate) => self.most = rate.time_for(HELD_BY_A_STREAM).max(rate.grace_period()),
            None => self.deadline = None,
        }
    }

    /// So many octets were written.
    pub(crate) fn wrote(&mut self, octets: u64, now: Instant) {
        let Some(rate) = self.rate else { return };
        let time = rate.time_for(octets);
        let alone = now + time.max(rate.grace_period());
        let deadline = match self.deadline {
            None => alone,
            Some(earlier) if self.stalled => earlier + time,
            Some(earlier) => alone.max(earlier + time),
        };
        self.deadline = Some(deadline.min(now + self.most));
    }

    /// The client takes no more. It has the grace at least.
    pub(crate) fn stall(&mut self, now: Instant) {
        if let (false, Some(rate)) = (self.stalled, self.rate) {
            let grace = now + rate.grace_period();
            self.deadline = Some(self.deadline.map_or(grace, |earlier| grace.max(earlier)));
        }
        self.stalled = true;
    }

    /// The client has taken all that was to be written.
    pub(crate) fn taken(&mut self) {
        self.stalled = false;
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// When the client is to be cut, if nothing changes.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.stalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wrote(u64),
        Stall,
        Taken,
        Rate(Option<f64>),
    }
    use Step::{Rate, Stall, Taken, Wrote};

    /// What it shows, what happens at which second, and at which one the client is cut then.
    type Row = (&'static str, &'static [(u64, Step)], Option<u64>);

    /// Of 1000 octets a second after 5 s.
    const TABLE: &[Row] = &[
        ("nothing is due while the client takes what comes", &[(0, Wrote(9000))], None),
        ("a write has the grace", &[(0, Wrote(1)), (0, Stall)], Some(5)),
        ("or its own time", &[(0, Wrote(9000)), (0, Stall)], Some(9)),
        ("which begins with the write", &[(0, Wrote(9000)), (2, Stall)], Some(9)),
        ("one that finds no room has the grace from then on", &[(0, Wrote(9000)), (8, Stall)], Some(13)),
        ("with nothing written before", &[(3, Stall)], Some(8)),
        ("time is kept", &[(0, Wrote(9000)), (1, Wrote(9000)), (1, Stall)], Some(18)),
        ("grace is not", &[(0, Wrote(1000)), (0, Wrote(1000)), (0, Stall)], Some(6)),
        ("what was not used in time is gone", &[(0, Wrote(9000)), (20, Wrote(9000)), (20, Stall)], Some(29)),
        (
            "no more is kept than a stream holds",
            &[(0, Wrote(60_000)), (0, Wrote(60_000)), (0, Stall)],
            Some(65),
        ),
        ("of one write neither", &[(0, Wrote(5_000_000)), (0, Stall)], Some(65)),
        ("nor while stalled", &[(0, Wrote(1)), (0, Stall), (1, Wrote(5_000_000))], Some(66)),
        ("a piece earns its time", &[(0, Wrote(1)), (0, Stall), (4, Wrote(2000))], Some(7)),
        ("and no grace", &[(0, Wrote(1)), (0, Stall), (4, Wrote(2)), (4, Stall)], Some(5)),
        ("until all is taken", &[(0, Stall), (4, Wrote(2)), (4, Taken), (4, Wrote(1)), (4, Stall)], Some(9)),
        ("without a rate there is time", &[(0, Wrote(1)), (0, Rate(None)), (0, Stall)], None),
        ("another rate is for what follows", &[(0, Wrote(9000)), (0, Rate(Some(1e6))), (0, Stall)], Some(9)),
        (
            "and bounds what is kept",
            &[(0, Wrote(9000)), (0, Rate(Some(1e6))), (0, Wrote(1)), (0, Stall)],
            Some(5),
        ),
    ];

    #[test]
    fn what_was_written_says_when_a_client_is_cut() {
        let rate = |rate| MinDataRate::new(rate, Duration::from_secs(5)).unwrap();
        let start = Instant::now();
        for (name, steps, due) in TABLE {
            let mut clock = ResponseClock::default();
            clock.set_rate(Some(rate(1000.0)));
            for (second, step) in *steps {
                let now = start + Duration::from_secs(*second);
                match *step {
                    Wrote(octets) => clock.wrote(octets, now),
                    Stall => clock.stall(now),
                    Taken => clock.taken(),
                    Rate(new) => clock.set_rate(new.map(rate)),
                }
            }
            assert_eq!(clock.due().map(|due| (due - start).as_secs()), *due, "{name}: {steps:?}");
        }
    }
}
