//! `berth volume`: one file for each of its commands.

mod create;
mod filter;
mod inspect;
mod ls;
mod prune;
mod rm;

use clap::{Args, Subcommand};

use super::{Context, Outcome};

pub(in crate::cli) use prune::prune;

/// Manage volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Volume {
    #[command(subcommand)]
    command: VolumeCommand,
}

#[derive(Subcommand, Debug)]
enum VolumeCommand {
    /// Create a volume
    Create(create::Create),
    /// Show everything about volumes
    Inspect(inspect::Inspect),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// Remove volumes that no container has
    Prune(prune::Prune),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
}

impl Volume {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            VolumeCommand::Create(command) => command.execute(context),
            VolumeCommand::Inspect(command) => command.execute(context),
            VolumeCommand::Ls(command) => command.execute(context),
            VolumeCommand::Prune(command) => command.execute(context),
            VolumeCommand::Rm(command) => command.execute(context),
        }
    }
}
