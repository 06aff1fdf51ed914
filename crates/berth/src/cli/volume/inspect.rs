//! `berth volume inspect`.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::inspect::each;
use crate::cli::{Context, Outcome};
use crate::view::volume;

/// Show everything about volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Inspect {
    /// json, or a Go template such as {{.Mountpoint}}
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Volumes, by name
    #[arg(value_name = "VOLUME", required = true)]
    volumes: Vec<String>,
}

impl Inspect {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        each(
            context,
            &self.volumes,
            self.format.as_deref(),
            |context, name| {
                let one = context.engine.volume(name).map_err(Failure::from)?;
                Ok(volume::inspect(&one))
            },
        )
    }
}
