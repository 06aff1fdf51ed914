//! `berth container inspect`.

use clap::Args;

use crate::cli::inspect::{container, each};
use crate::cli::{Context, Outcome};

/// Show everything about containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Inspect {
    /// json, or a Go template such as {{.State.Pid}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Add up what each takes on disk
    #[arg(short, long)]
    size: bool,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        each(
            context,
            &self.containers,
            self.format.as_deref(),
            |context, name| container(context, name, self.size),
        )
    }
}
