//! The Date header.

#![expect(clippy::disallowed_types, reason = "the one place that asks for the calendar")]

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use http::HeaderValue;

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
