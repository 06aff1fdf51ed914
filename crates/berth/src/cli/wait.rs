//! `berth wait`.

use clap::Args;

use super::{Context, Outcome};

/// Wait until containers end, then print their exit codes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Wait {
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Wait {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        context.for_each(&self.containers, |context, _, id| {
            let exit = context.engine.wait(id)?;
            context.out.line(&exit.outcome.shell_code().to_string())?;
            context.out.flush()
        })
    }
}
