//! `berth network rm`.

use berth_base::ErrorClass;
use clap::Args;

use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::{Context, Outcome};

/// Remove networks.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Rm {
    /// One that does not exist is no failure; one that is in use stays all the same
    #[arg(short, long)]
    force: bool,
    /// Networks, by name or id
    #[arg(value_name = "NETWORK", required = true)]
    networks: Vec<String>,
}

impl Rm {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let mut code = 0;
        for name in &self.networks {
            match context.engine.remove_network(name) {
                Ok(()) => context.out.line(name)?,
                Err(error) if self.force && error.class == ErrorClass::NotFound => {}
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
