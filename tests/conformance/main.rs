//! Replays what the real Kestrel was recorded to do. Every difference stands in a table with its
//! reason.

mod addresses;
