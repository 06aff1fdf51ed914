//! What keeps containers going: restart policies, the wait before a restart, `restart`, the return
//! after a boot, probes of health.
//!
//! Whoever is to start a container again says so first, in `status.json`: a claim. It is kept until
//! the start has happened, so that nobody's death loses it; whoever finds the claimant dead takes
//! over. Two cannot start one container: both need its lock, and the claim under it.

mod again;
mod claim;
mod health;
mod policy;
mod restart;
mod restore;
mod settings;
mod stopped;

pub(crate) use claim::{dismiss, is_about_to_restart, is_in_hand, is_of_this_boot};
pub(crate) use health::{check, is_probed, probe};
pub use restore::Restored;
pub(crate) use stopped::{may_come_back, stop_by_hand};
