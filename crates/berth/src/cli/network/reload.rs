//! `berth network reload`.

use clap::Args;

use crate::cli::{Context, Outcome};

/// Put back what somebody removed of the packet filter.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Reload {}

impl Reload {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let changed = context.engine.reload_networks()?;
        context.out.line(match changed {
            true => "The rules of the packet filter are there again.",
            false => "Nothing was missing.",
        })?;
        Ok(0)
    }
}
