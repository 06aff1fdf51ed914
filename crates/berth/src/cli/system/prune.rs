//! `berth system prune`.

use berth_base::Status;
use berth_engine::{RemoveOptions, VolumePrune};
use clap::Args;

use crate::cli::confirm::confirm;
use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::image::{ImageFilters, prune};
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::size;

/// Remove what nothing uses: ended containers, images, half downloaded blobs.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Prune {
    /// All images that no container was made from, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Only those that fit, such as until=24h or label=a=b
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Anonymous volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = ImageFilters::for_prune(&self.filter)?;
        let images = match self.all {
            true => "all images that no container was made from",
            false => "all images without a name",
        };
        let volumes = match self.volumes {
            true => ", all anonymous volumes that no container uses",
            false => "",
        };
        let what = format!("all ended containers{volumes}, {images}, and parts of downloads");
        if !self.force && !confirm(&what) {
            return Ok(0);
        }
        let mut code = 0;
        let mut bytes = self.containers(context, &filters, &mut code)?;
        if self.volumes {
            bytes += self.volumes(context, &filters, &mut code)?;
        }
        let (of_images, images_code) = prune(context, self.all, &filters)?;
        bytes += of_images;
        context
            .out
            .line(&format!("Total reclaimed space: {}", size::decimal(bytes)))?;
        Ok(code.max(images_code))
    }

    /// Removes ended containers, and those that were never started; the bytes they took.
    fn containers(
        &self,
        context: &mut Context,
        filters: &ImageFilters,
        code: &mut u8,
    ) -> Result<u64, Failure> {
        let mut removed = Vec::new();
        let mut bytes = 0;
        for container in context.engine.list()? {
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
                Err(error) => {
                    context.console.fail(&Failure::from(error));
                    *code = EXIT_FAILURE;
                }
            }
        }
        if !removed.is_empty() {
            context.out.line("Deleted Containers:")?;
            for id in &removed {
                context.out.line(id.as_str())?;
            }
            context.out.line("")?;
        }
        Ok(bytes)
    }

    /// Removes anonymous volumes; the bytes they took.
    fn volumes(
        &self,
        context: &mut Context,
        filters: &ImageFilters,
        code: &mut u8,
    ) -> Result<u64, Failure> {
        let pruned = context.engine.prune_volumes(&VolumePrune {
            all: false,
            fits: &|file| filters.accept_labels(&file.labels, file.created_at),
        })?;
        if !pruned.removed.is_empty() {
            context.out.line("Deleted Volumes:")?;
            for name in &pruned.removed {
                context.out.line(name.as_str())?;
            }
            context.out.line("")?;
        }
        for error in pruned.errors {
            context.console.fail(&Failure::from(error));
            *code = EXIT_FAILURE;
        }
        Ok(pruned.reclaimed_bytes)
    }
}
