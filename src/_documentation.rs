//! The documents beside the README.

#[doc = "How it works, where things go, and why."]
#[doc = ""]
#[doc = "[strictness]: crate::_documentation::strictness"]
#[doc = ""]
#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

#[doc = include_str!("../benches/README.md")]
pub mod benches {}

#[doc = include_str!("../CHANGELOG.md")]
pub mod changelog {}

#[doc = "How to write it, and how to check it."]
#[doc = ""]
#[doc = "[architecture]: crate::_documentation::architecture"]
#[doc = "[benches]: crate::_documentation::benches"]
#[doc = "[changelog]: crate::_documentation::changelog"]
#[doc = "[strictness]: crate::_documentation::strictness"]
#[doc = ""]
#[doc = include_str!("../CONTRIBUTING.md")]
pub mod contributing {}

#[doc = include_str!("../docs/STRICTNESS.md")]
pub mod strictness {}
