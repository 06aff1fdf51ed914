//! seccomp: from an OCI profile to the BPF program that seccomp(2) loads.
//!
//! [`compile`] uses libseccomp, puts our own prelude before its program and shrinks both;
//! [`load_or_compile`] keeps compiled programs by digest; [`default_profile`] is the profile that a
//! container gets when nobody asks for another. Nothing here loads a filter: the process that
//! becomes the container's does.

mod cache;
mod compile;
mod error;
mod instruction;
mod prelude;
mod profile;
mod shrink;
mod words;

#[cfg(test)]
mod differential_tests;
#[cfg(test)]
mod machine;

pub use cache::{FilterName, load, load_or_compile};
pub use compile::{CompiledFilter, MAX_INSTRUCTIONS, compile};
pub use error::SeccompError;
pub use profile::default_profile;
