//! A minimum data rate: so many bytes a second, after a time of grace.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The slowest that a client may send or take a body: bytes a second, on average, after a time
/// of grace.
///
/// The default, as Kestrel's, is 240 bytes a second after 5 seconds.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use kestrel_rs::MinDataRate;
///
/// let rate = MinDataRate::new(100.0, Duration::from_secs(10))?;
/// assert_eq!(rate.bytes_per_second(), 100.0);
/// assert!(MinDataRate::new(0.0, Duration::from_secs(10)).is_err());
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinDataRate {
    bytes_per_second: f64,
    grace_period: Duration,
}

impl MinDataRate {
    /// A rate of `bytes_per_second`, first asked for when `grace_period` has passed.
    ///
    /// The rate must be a number above 0, the grace longer than a second: Kestrel's rule, whose
    /// clock ticks once a second, kept because a shorter one cuts clients that merely share a busy
    /// network. A grace of more than a year is one of a year.
    ///
    /// # Differences from Kestrel
    ///
    /// Not-a-number, which Kestrel takes and which switches the check off without a word, is an
    /// error; `None` in place of the rate is how to switch it off.
    pub fn new(bytes_per_second: f64, grace_period: Duration) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::new(ErrorKind::Option, format!("MinDataRate: {what}")));
        if bytes_per_second.is_nan() || bytes_per_second <= 0.0 {
            return refuse(format!(
                "a rate of {bytes_per_second} bytes a second is not above 0; give None where a rate is taken to have none"
            ));
        }
        if grace_period <= Duration::from_secs(1) {
            return refuse(format!("a grace period of {grace_period:?} is not longer than 1 second"));
        }
        Ok(Self { bytes_per_second, grace_period: grace_period.min(YEAR) })
    }

    /// Of numbers that come from a rate.
    pub(crate) fn known_good(bytes_per_second: f64, grace_period: Duration) -> Self {
        Self { bytes_per_second, grace_period }
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> f64 {
        self.bytes_per_second
    }

    /// The time before the rate is first asked for.
    pub fn grace_period(&self) -> Duration {
        self.grace_period
    }

    /// How long `bytes` may take at this rate, beside the grace; at most a year.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a deadline needs no more than 53 bits, and is between 0 and a year"
        )]
        let nanos = (bytes as f64 * 1e9 / self.bytes_per_second).min(YEAR.as_nanos() as f64) as u64;
        Duration::from_nanos(nanos)
    }
}

impl Default for MinDataRate {
    fn default() -> Self {
        Self { bytes_per_second: 240.0, grace_period: Duration::from_secs(5) }
    }
}

/// Beyond it nobody waits, and deadlines would overflow.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
