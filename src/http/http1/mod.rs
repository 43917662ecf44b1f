//! HTTP/1.0 and HTTP/1.1.

mod answer;
mod body;
mod clock;
mod connection;
mod exchange;
#[cfg(test)]
mod facts_tests;
mod field;
mod framing;
pub(crate) mod head;
#[cfg(any(test, fuzzing))]
pub(crate) mod hyper_tests;
mod incoming;
mod input;
mod line;
mod output;
mod preface;
mod request;
mod timer;
mod waker;

pub(crate) use connection::serve;
