//! `berth restart`.

use clap::Args;

use super::stop::StopFlags;
use super::{Context, Outcome};

/// Stop containers and start them again; those that do not run are started.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Restart {
    #[command(flatten)]
    flags: StopFlags,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Restart {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let options = self.flags.options();
        context.for_each(&self.containers, |context, reference, id| {
            let console = context.console;
            let mut notify = |note: &str| console.warn(note);
            let warnings = context.engine.restart(id, &options, &mut notify)?;
            context.warn_all(&warnings);
            context.out.line(reference)?;
            context.out.flush()
        })
    }
}
