//! `berth check`.
use super::{Context, Outcome};
use clap::Args;
/// Find what is wrong with how containers are isolated.
#[derive(Args, Debug)]
pub(crate) struct Check {}
impl Check {
    pub(super) fn execute(&self, _context: &mut Context) -> Outcome {
        Ok(0)
    }
}
