//! `berth system`: the engine's whole store.

mod config;
mod df;
pub(super) mod doctor;
mod prune;
mod restore;

use clap::{Args, Subcommand};

use super::{Context, Outcome, events, info};
pub(super) use prune::Prune;

/// Look after the whole store.
#[derive(Args, Debug)]
pub(crate) struct System {
    #[command(subcommand)]
    command: SystemCommand,
}

#[derive(Subcommand, Debug)]
enum SystemCommand {
    /// Show what happens, and what has happened
    Events(events::Events),
    /// Show the engine's surroundings
    Info(info::Info),
    /// Tell what of this host is missing, and the remedy
    Doctor(doctor::Doctor),
    /// Show the configuration in force, and where each value comes from
    Config(config::Config),
    /// Show what takes how much of the disk
    Df(df::Df),
    /// Remove what nothing uses
    Prune(prune::Prune),
    /// Put in order what a crash left; after a boot start what is wanted
    Restore(restore::Restore),
}

impl System {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            SystemCommand::Events(command) => command.execute(context),
            SystemCommand::Info(command) => command.execute(context),
            SystemCommand::Doctor(command) => command.execute(context),
            SystemCommand::Config(command) => command.execute(context),
            SystemCommand::Df(command) => command.execute(context),
            SystemCommand::Prune(command) => command.execute(context),
            SystemCommand::Restore(command) => command.execute(context),
        }
    }
}
