//! `berth network`: one file for each of its commands.

mod connect;
mod create;
mod filter;
mod inspect;
mod ls;
mod prune;
mod reload;
mod rm;
mod section;

use clap::{Args, Subcommand};

pub(in crate::cli) use inspect::{Seen, inspected};
pub(crate) use section::NetworkSection;

use super::{Context, Outcome};

/// Manage networks.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Network {
    #[command(subcommand)]
    command: NetworkCommand,
}

#[derive(Subcommand, Debug)]
enum NetworkCommand {
    /// Put a container on a further network
    Connect(connect::Connect),
    /// Create a network
    Create(create::Create),
    /// Take a container off a network
    Disconnect(connect::Disconnect),
    /// Show everything about networks
    Inspect(inspect::Inspect),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(ls::Ls),
    /// Remove networks that no container is on
    Prune(prune::Prune),
    /// Put back what somebody removed of the packet filter
    Reload(reload::Reload),
    /// Remove networks
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
}

impl Network {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            NetworkCommand::Connect(command) => command.execute(context),
            NetworkCommand::Disconnect(command) => command.execute(context),
            NetworkCommand::Create(command) => command.execute(context),
            NetworkCommand::Inspect(command) => command.execute(context),
            NetworkCommand::Ls(command) => command.execute(context),
            NetworkCommand::Prune(command) => command.execute(context),
            NetworkCommand::Reload(command) => command.execute(context),
            NetworkCommand::Rm(command) => command.execute(context),
        }
    }
}
