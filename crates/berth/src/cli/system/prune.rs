//! `berth system prune`.

use berth_engine::VolumePrune;
use clap::Args;

use crate::cli::container;
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
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
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
        container::prune(context, &filters, &mut pruning)?;
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
