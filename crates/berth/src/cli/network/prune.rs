//! `berth network prune`.

use berth_engine::PruneKind;
use clap::Args;

use super::filter::Filters;
use crate::cli::failure::Failure;
use crate::cli::prune::{PruneFlags, Pruning};
use crate::cli::{Context, Outcome};

/// Remove networks that no container is on.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Prune {
    #[command(flatten)]
    flags: PruneFlags,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = Filters::new(&self.flags.filter, &["label", "label!", "until"])?;
        if !self.flags.is_wanted("all networks that no container is on") {
            return Ok(0);
        }
        let mut pruning = Pruning::default();
        prune(context, &filters, &mut pruning)?;
        Ok(pruning.code())
    }
}

/// Removes networks that no container is on.
fn prune(context: &mut Context, filters: &Filters, pruning: &mut Pruning) -> Result<(), Failure> {
    let fits = |file: &_| filters.accept(file, false);
    let (removed, errors) = context.engine.prune_networks(&fits)?;
    context.engine.note_prune(PruneKind::Networks, 0);
    pruning.add(context, "Deleted Networks:", &removed, 0, errors)
}
