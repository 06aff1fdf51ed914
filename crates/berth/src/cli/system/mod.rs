//! `berth system`: the engine's whole store.

mod restore;

use clap::{Args, Subcommand};

use super::{Context, Outcome};

/// Look after the whole store.
#[derive(Args, Debug)]
pub(crate) struct System {
    #[command(subcommand)]
    command: SystemCommand,
}

#[derive(Subcommand, Debug)]
enum SystemCommand {
    /// Put everything in order after a crash
    Restore(restore::Restore),
}

impl System {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            SystemCommand::Restore(command) => command.execute(context),
        }
    }
}
