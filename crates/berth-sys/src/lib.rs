//! Linux: the only crate with `unsafe`.
//!
//! Floor 1. What rustix lacks, each call behind a safe function with owned descriptors: its
//! purpose in one line, its man page, its conditions. Nothing here decides anything.

pub mod bpf;
pub mod nsfs;
