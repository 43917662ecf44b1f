//! The Date header.

/// The time of day as RFC 9110 section 5.6.7 writes it.
#[expect(clippy::disallowed_types, reason = "the one place that asks for the calendar")]
pub(crate) fn now() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now())
}
