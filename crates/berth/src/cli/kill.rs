//! `berth kill`.

use clap::Args;

use super::parse::signal::signal;
use super::{Context, Outcome};

/// Send a signal to containers, SIGKILL unless told otherwise.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Kill {
    /// The signal, by name or number
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "KILL")]
    signal: i32,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Kill {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        context.for_each(&self.containers, |context, reference, id| {
            context.engine.kill(id, self.signal)?;
            if let Some(warning) = context.engine.forgotten_stop(id) {
                context.console.warn(&warning);
            }
            context.out.line(reference)
        })
    }
}
