//! `berth volume rm`.

use berth_base::ErrorClass;
use clap::Args;

use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::{Context, Outcome};

/// Remove volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Rm {
    /// One that does not exist is no failure; one that a container has stays all the same
    #[arg(short, long)]
    force: bool,
    /// Volumes, by name
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl Rm {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let mut code = 0;
        for name in &self.volumes {
            match context.engine.remove_volume(name) {
                Ok(()) => context.out.line(name)?,
                // As Docker has it: what is not there need not be removed.
                Err(error) if self.force && error.class == ErrorClass::NotFound => {
                    context.out.line(name)?;
                }
                Err(error) => {
                    context.out.flush()?;
                    context.console.fail(&Failure::from(error));
                    code = EXIT_FAILURE;
                }
            }
        }
        Ok(code)
    }
}
