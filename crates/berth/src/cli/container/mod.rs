//! `berth container`: the commands about containers under the names of Docker's group.
//!
//! The commands are those at the top, struct for struct; only `inspect` and `prune` are of the group
//! alone.

mod inspect;
mod prune;

use clap::{Args, Subcommand};

use super::later::Later;
use super::{CliCommand, Context, Outcome};
use super::{attach, commit, cp, create, diff, exec, export, kill, logs, pause, port, ps, rename};
use super::{restart, rm, run, start, stats, stop, top, update, wait};

pub(in crate::cli) use prune::prune;

/// Manage containers.
#[derive(Args, Debug)]
pub(crate) struct Container {
    #[command(subcommand)]
    command: ContainerCommand,
}

#[derive(Subcommand, Debug)]
enum ContainerCommand {
    #[command(flatten)]
    Flat(Box<FlatCommand>),
    /// Show everything about containers
    Inspect(inspect::Inspect),
    /// Remove all containers that do not run
    Prune(prune::Prune),
}

/// Makes the commands of the group, and the way from each to the same one at the top.
macro_rules! flat_commands {
    ($($(#[$attribute:meta])* $name:ident($type:ty),)*) => {
        #[derive(Subcommand, Debug)]
        enum FlatCommand {
            $($(#[$attribute])* $name($type),)*
        }

        impl FlatCommand {
            fn at_the_top(self) -> CliCommand {
                match self {
                    $(Self::$name(command) => CliCommand::$name(Later(command)),)*
                }
            }
        }
    };
}

// One line for each command at the top that is about containers.
flat_commands! {
    /// Join the streams of a running container
    Attach(attach::Attach),
    /// Make an image of a container
    Commit(commit::Commit),
    /// Copy files between the host and a container
    Cp(cp::Cp),
    /// Create a container without starting it
    Create(create::Create),
    /// Show what a container changed of its image
    Diff(diff::Diff),
    /// Run a further process in a running container
    Exec(exec::Exec),
    /// Write the root of a container as a tar
    Export(export::Export),
    /// Send a signal to containers, SIGKILL unless told otherwise
    Kill(kill::Kill),
    /// Show what a container wrote
    Logs(logs::Logs),
    /// List containers
    #[command(name = "ls", visible_aliases = ["list", "ps"])]
    Ps(ps::Ps),
    /// Stop every process of containers where it is
    Pause(pause::Pause),
    /// Show which ports of the host lead to a container
    Port(port::Port),
    /// Give a container another name
    Rename(rename::Rename),
    /// Stop containers and start them again
    Restart(restart::Restart),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(rm::Rm),
    /// Create and start a container
    Run(run::Run),
    /// Start containers
    Start(start::Start),
    /// Show what containers use up
    Stats(stats::Stats),
    /// Stop containers: a signal, a timeout, then SIGKILL
    Stop(stop::Stop),
    /// List the processes of a container
    Top(top::Top),
    /// Let paused containers go on
    Unpause(pause::Unpause),
    /// Change the limits and the restart policy of containers
    Update(update::Update),
    /// Wait until containers end, then print their exit codes
    Wait(wait::Wait),
}

impl Container {
    /// The command at the top that this one is, or itself.
    pub(super) fn at_the_top(self) -> CliCommand {
        match self.command {
            ContainerCommand::Flat(command) => command.at_the_top(),
            command => CliCommand::Container(Later(Self { command })),
        }
    }

    pub(super) fn execute(self, context: &mut Context) -> Outcome {
        match self.command {
            ContainerCommand::Flat(command) => command.at_the_top().execute(context),
            ContainerCommand::Inspect(command) => command.execute(context),
            ContainerCommand::Prune(command) => command.execute(context),
        }
    }
}
