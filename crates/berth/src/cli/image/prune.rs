//! `berth image prune`.

use berth_engine::{PruneKind, Removal};
use clap::Args;

use super::filter::ImageFilters;
use crate::cli::failure::Failure;
use crate::cli::prune::{PruneFlags, Pruning};
use crate::cli::{Context, Outcome};

/// Remove images that nothing uses.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Prune {
    /// Those with a name, too, if no container was made from them
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = ImageFilters::for_prune(&self.flags.filter)?;
        if !self.flags.is_wanted(prunable(self.all)) {
            return Ok(0);
        }
        let mut pruning = Pruning::default();
        prune(context, self.all, &filters, &mut pruning)?;
        pruning.end(context)
    }
}

/// Which images a prune removes.
pub(in crate::cli) const fn prunable(all: bool) -> &'static str {
    match all {
        true => "all images that no container was made from",
        false => "all images without a name",
    }
}

/// Removes images that nothing uses.
pub(in crate::cli) fn prune(
    context: &mut Context,
    all: bool,
    filters: &ImageFilters,
    pruning: &mut Pruning,
) -> Result<(), Failure> {
    let pruned = context
        .engine
        .prune_images(all || filters.wants_named(), |image| !filters.accept(image))?;
    context.engine.note_prune(PruneKind::Images, pruned.bytes);
    let lines: Vec<String> = pruned.removed.iter().map(pruned_line).collect();
    pruning.add(
        context,
        "Deleted Images:",
        &lines,
        pruned.bytes,
        pruned.errors,
    )
}

/// Says what was removed as Docker does when pruning: in small letters, where `rmi` has capitals.
fn pruned_line(removal: &Removal) -> String {
    match removal {
        Removal::Untagged(name) => format!("untagged: {name}"),
        Removal::Deleted(digest) => format!("deleted: {digest}"),
    }
}
