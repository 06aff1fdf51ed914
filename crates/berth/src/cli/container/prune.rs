//! `berth container prune`.

use berth_base::Status;
use berth_engine::{PruneKind, RemoveOptions};
use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::image::ImageFilters;
use crate::cli::prune::{PruneFlags, Pruning};
use crate::cli::{Context, Outcome};

/// Remove all containers that do not run.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Prune {
    #[command(flatten)]
    flags: PruneFlags,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = ImageFilters::for_containers(&self.flags.filter)?;
        if !self.flags.is_wanted("all containers that do not run") {
            return Ok(0);
        }
        let mut pruning = Pruning::default();
        prune(context, &filters, &mut pruning)?;
        pruning.end(context)
    }
}

/// Removes ended containers, and those that were never started.
pub(in crate::cli) fn prune(
    context: &mut Context,
    filters: &ImageFilters,
    pruning: &mut Pruning,
) -> Result<(), Failure> {
    let mut removed = Vec::new();
    let mut bytes = 0;
    let mut errors = Vec::new();
    for container in context.containers()? {
        let over = matches!(container.status, Status::Created | Status::Exited);
        let options = &container.create.options;
        if !over || !filters.accept_labels(&options.labels, container.create.created_at) {
            continue;
        }
        let size = context.engine.container_bytes(&container);
        let options = RemoveOptions {
            force: false,
            volumes: false,
        };
        match context.engine.remove(&container.id, &options) {
            Ok(()) => {
                bytes += size;
                removed.push(container.id);
            }
            // Started or removed meanwhile by somebody else.
            Err(error) => errors.push(error),
        }
    }
    context.engine.note_prune(PruneKind::Containers, bytes);
    pruning.add(context, "Deleted Containers:", &removed, bytes, errors)
}
