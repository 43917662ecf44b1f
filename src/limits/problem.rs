//! A value that an option cannot have: the first one is kept until `check` reports it.

use std::fmt::Display;
use std::panic::Location;
use std::time::Duration;

/// The first value that an option cannot have, and where it was given.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    what: String,
    at: &'static Location<'static>,
}

impl Problem {
    /// Where `value` is less than the first or more than the last of those that are allowed.
    #[track_caller]
    pub(super) fn of_range<T>(option: &str, value: Option<T>, (least, most): (T, T)) -> Option<Self>
    where
        T: Copy + Display + PartialOrd,
    {
        let value = value.filter(|value| *value < least || *value > most)?;
        Some(Self::new(format!("{option}: {value} is not allowed; {least} to {most} is")))
    }

    /// Where `value` is less than `least`.
    #[track_caller]
    pub(super) fn of_time(option: &str, value: Option<Duration>, least: Duration) -> Option<Self> {
        let value = value.filter(|value| *value < least)?;
        Some(Self::new(format!(
            "{option}: {value:?} is not allowed; {least:?} or more is, or None for no limit"
        )))
    }

    #[track_caller]
    fn new(what: String) -> Self {
        Self { what, at: Location::caller() }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (given at {})", self.what, self.at)
    }
}
