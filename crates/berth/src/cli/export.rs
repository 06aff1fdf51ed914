//! `berth export`.

use std::path::PathBuf;

use clap::Args;

use super::save::Target;
use super::{Context, Outcome};

/// Write the root of a container as a tar: what its image and it made, not what is mounted there.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Export {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The container, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Export {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let engine = &context.engine;
        let (target, id) = Target::open(self.output.as_deref(), "a tar", || {
            engine.resolve(&self.container)
        })?;
        engine.export(&id, target.writer()?)?;
        target.finish()?;
        Ok(0)
    }
}
