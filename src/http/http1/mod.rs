//! HTTP/1.0 and HTTP/1.1.

mod answer;
mod body;
mod clock;
mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod engine_tests;
mod exchange;
#[cfg(test)]
mod facts_tests;
mod field;
mod framing;
pub(crate) mod head;
#[cfg(any(test, fuzzing))]
mod hyper_tests;
mod incoming;
mod input;
mod line;
mod memo;
mod output;
mod preface;
mod request;
mod timer;
mod waker;

pub(crate) use connection::serve;
