//! `berth pause` and `berth unpause`.

use clap::Args;

use super::{Context, Outcome};

/// Stop every process of containers where it is.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Pause {
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

/// Let paused containers go on.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Unpause {
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Pause {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        context.for_each(&self.containers, |context, reference, id| {
            context.engine.pause(id)?;
            context.out.line(reference)?;
            context.out.flush()
        })
    }
}

impl Unpause {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        context.for_each(&self.containers, |context, reference, id| {
            context.engine.unpause(id)?;
            context.out.line(reference)?;
            context.out.flush()
        })
    }
}
