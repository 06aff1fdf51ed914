//! Images of a user without privilege, and what outlives a boot.
//!
//! Each command runs in a mount namespace with an /etc of the test's own: a user with sub-ids, one
//! without, one without newuidmap. Needs root, which becomes that user.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod boots;
#[path = "../cli/support.rs"]
#[allow(dead_code)]
mod cli;
mod many_ids;
mod odd_ids;
mod quota;
#[allow(dead_code)]
mod support;
