//! The Date header.

#![expect(clippy::disallowed_types, reason = "the one place that asks for the calendar")]

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use tokio::time::Instant;

/// The time of day as RFC 9110 section 5.6.7 writes it.
pub(crate) fn now() -> HeaderValue {
    thread_local! {
        /// The second that was written last, and its text.
        static LAST: RefCell<(u64, HeaderValue)> = const { RefCell::new((u64::MAX, HeaderValue::from_static(""))) };
    }
    let second = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second {
            let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            // Letters, digits, spaces, a comma and colons.
            *text = HeaderValue::try_from(date).unwrap_or(HeaderValue::from_static(""));
            *last = second;
        }
        text.clone()
    })
}

/// The same for who knows the instant, which is most of what it costs.
#[expect(clippy::disallowed_types, reason = "as `now`")]
pub(crate) fn at(instant: Instant, write: impl FnOnce(&[u8])) {
    thread_local! {
        /// The second that was written last: its text, and when it begins and ends.
        static LAST: RefCell<Option<(HeaderValue, Instant, Instant)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        // A clock of another runtime, which may stand still, may be anywhere.
        let known = last.as_ref().filter(|(_, since, until)| (*since..*until).contains(&instant));
        if let Some((text, ..)) = known {
            return write(text.as_bytes());
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let rest = Duration::from_nanos((1_000_000_000 - now.subsec_nanos()).into());
        let (text, ..) = last.insert((self::now(), instant, instant + rest));
        write(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_say_the_same() {
        let mut text = Vec::new();
        for _ in 0..3 {
            let before = now();
            at(Instant::now(), |date| text = date.to_vec());
            assert!(text == before.as_bytes() || text == now().as_bytes());
        }
    }
}
