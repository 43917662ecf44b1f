//! Certificates.

mod certificate;
mod development;
mod reload;
#[cfg(test)]
mod test_log;

pub use certificate::Certificate;
pub use development::{DevelopmentCertificate, create_development_certificate};
