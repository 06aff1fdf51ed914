//! `berth rm`.

use berth_base::ErrorClass;
use berth_engine::RemoveOptions;
use clap::Args;

use super::failure::{EXIT_FAILURE, Failure};
use super::{Context, Outcome};

/// Remove containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Rm {
    /// Kill running containers first; one that does not exist is no failure
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Rm {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let options = RemoveOptions {
            force: self.force,
            volumes: self.volumes,
        };
        let mut code = 0;
        for reference in &self.containers {
            match self.remove(context, reference, &options) {
                Ok(()) => context.out.line(reference)?,
                Err(failure) => {
                    context.out.flush()?;
                    context.console.fail(&failure);
                    // As Docker has it: what is not there need not be removed.
                    if !(self.force && failure.class == ErrorClass::NotFound) {
                        code = EXIT_FAILURE;
                    }
                }
            }
        }
        Ok(code)
    }

    fn remove(
        &self,
        context: &Context,
        reference: &str,
        options: &RemoveOptions,
    ) -> Result<(), Failure> {
        let id = context.engine.resolve(reference)?;
        match context.engine.remove(&id, options) {
            // Somebody else was faster, its monitor with --rm for one: gone is gone.
            Err(error) if error.class == ErrorClass::NotFound => Ok(()),
            other => other.map_err(Failure::from),
        }
    }
}
