//! `berth system prune`.

use berth_base::Status;
use berth_engine::{PruneKind, RemoveOptions, VolumePrune};
use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::image::{self, ImageFilters};
use crate::cli::prune::{PruneFlags, Pruning};
use crate::cli::volume;
use crate::cli::{Context, Outcome};

/// Remove what nothing uses: ended containers, images, half downloaded blobs.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Prune {
    /// All images that no container was made from, not only those without a name
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
    /// Anonymous volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = ImageFilters::for_prune(&self.flags.filter)?;
        let images = image::prunable(self.all);
        let volumes = match self.volumes {
            true => ", all anonymous volumes that no container uses",
            false => "",
        };
        let what = format!("all ended containers{volumes}, {images}, and parts of downloads");
        if !self.flags.is_wanted(&what) {
            return Ok(0);
        }
        let mut pruning = Pruning::default();
        prune_containers(context, &filters, &mut pruning)?;
        if self.volumes {
            let wanted = VolumePrune {
                all: false,
                fits: &|file| filters.accept_labels(&file.labels, file.created_at),
            };
            volume::prune(context, &wanted, &mut pruning)?;
        }
        image::prune(context, self.all, &filters, &mut pruning)?;
        pruning.end(context)
    }
}

/// Removes ended containers, and those that were never started.
fn prune_containers(
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
