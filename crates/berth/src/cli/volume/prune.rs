//! `berth volume prune`.

use berth_engine::{PruneKind, VolumePrune};
use clap::Args;

use super::filter::Filters;
use crate::cli::failure::Failure;
use crate::cli::prune::{PruneFlags, Pruning};
use crate::cli::{Context, Outcome};

/// Remove volumes that no container has.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Prune {
    /// Also those that have a name, not the anonymous alone
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = Filters::new(&self.flags.filter, &["all", "label", "label!"])?;
        let all = self.all || filters.switch("all") == Some(true);
        let kind = if all { "all" } else { "anonymous" };
        let what = format!("{kind} local volumes that no container uses");
        if !self.flags.is_wanted(&what) {
            return Ok(0);
        }
        let wanted = VolumePrune {
            all,
            fits: &|file| filters.accept(file, false),
        };
        let mut pruning = Pruning::default();
        prune(context, &wanted, &mut pruning)?;
        pruning.end(context)
    }
}

/// Removes volumes that no container has.
pub(in crate::cli) fn prune(
    context: &mut Context,
    wanted: &VolumePrune<'_>,
    pruning: &mut Pruning,
) -> Result<(), Failure> {
    let pruned = context.engine.prune_volumes(wanted)?;
    let freed = pruned.reclaimed_bytes;
    context.engine.note_prune(PruneKind::Volumes, freed);
    pruning.add(
        context,
        "Deleted Volumes:",
        &pruned.removed,
        pruned.reclaimed_bytes,
        pruned.errors,
    )
}
