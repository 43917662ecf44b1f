//! One way from the head of a request to the app and back, for every version of HTTP: what a head may say, and what an
//! answer may be.

mod answer;
mod call;
pub(super) mod decoded;
mod extensions;
pub(super) mod host;
mod misdirected;
pub(super) mod rejection;
pub(super) mod target;

pub(super) use answer::Answer;
pub(super) use call::Call;
pub(super) use extensions::extensions;
