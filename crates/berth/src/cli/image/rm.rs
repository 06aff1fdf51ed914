//! `berth rmi`.

use berth_base::ErrorClass;
use berth_engine::Removal;
use clap::Args;

use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::{Context, Outcome};

/// Remove images.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Rmi {
    /// Take names away though stopped containers use the image, or it has several names
    #[arg(short, long)]
    force: bool,
    /// Accepted for Docker's sake: untagged parents do not exist here
    #[arg(long)]
    no_prune: bool,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl Rmi {
    pub(in crate::cli) fn execute(&self, context: &mut Context) -> Outcome {
        let mut code = 0;
        for image in &self.images {
            match context.engine.remove_image(image, self.force) {
                Ok(removals) => {
                    for removal in &removals {
                        context.out.line(&line_of(removal))?;
                    }
                }
                Err(error) => {
                    context.out.flush()?;
                    // As with Docker, -f is content with one that is not there.
                    if !(self.force && error.class == ErrorClass::NotFound) {
                        code = EXIT_FAILURE;
                    }
                    context.console.fail(&Failure::from(error));
                }
            }
        }
        Ok(code)
    }
}

/// Says what was removed, as Docker does.
fn line_of(removal: &Removal) -> String {
    match removal {
        Removal::Untagged(name) => format!("Untagged: {name}"),
        Removal::Deleted(digest) => format!("Deleted: {digest}"),
    }
}
