//! Certificates.

mod certificate;
mod reload;
#[cfg(test)]
mod test_log;

pub use certificate::Certificate;
