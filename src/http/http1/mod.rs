//! HTTP/1.0 and HTTP/1.1.

mod answers;
mod driver;
mod exchange;
#[cfg(test)]
mod facts_tests;
mod field;
mod framing;
mod gate;
mod guarded;
pub(crate) mod head;
#[cfg(any(test, fuzzing))]
pub(crate) mod hyper_tests;
mod notes;
mod output;
mod preface;
mod shared;
mod timer;
mod waker;

pub(crate) use driver::{Driver, Outcome};
pub use guarded::GuardedStream;
