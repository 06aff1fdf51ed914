//! `berth internal`: what monitors execute. No user types it.

use berth_base::ContainerId;
use clap::{Args, Subcommand};

use super::failure::Failure;
use super::{Context, Outcome};

/// What monitors execute.
#[derive(Args, Debug)]
pub(crate) struct Internal {
    #[command(subcommand)]
    command: InternalCommand,
}

#[derive(Subcommand, Debug)]
enum InternalCommand {
    /// Do what is due once a container has ended
    Exited {
        /// The full id
        id: String,
    },
    /// Start a container that is wanted after a boot
    Start {
        /// The full id
        id: String,
    },
    /// Do what is due once a container's probes have failed too often
    Unhealthy {
        /// The full id
        id: String,
    },
    /// Answer containers' questions for names
    Dns,
    /// Make unpacked layers outlive a loss of power
    Settle,
    /// Work on files of many users, in a user namespace
    Storage {
        /// Which work
        work: String,
    },
}

impl Internal {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        match &self.command {
            InternalCommand::Exited { id } => {
                let id = full_id(id)?;
                context.engine.exited(&id)?;
            }
            InternalCommand::Start { id } => return start(context, &full_id(id)?),
            InternalCommand::Unhealthy { id } => context.engine.unhealthy(&full_id(id)?)?,
            InternalCommand::Dns => {
                context.engine.resolve_names()?;
            }
            InternalCommand::Settle => {
                context.engine.settle_layers()?;
            }
            InternalCommand::Storage { work } => {
                berth_engine::storage_worker(work);
            }
        }
        Ok(0)
    }
}

fn full_id(id: &str) -> Result<ContainerId, Failure> {
    id.parse()
        .map_err(|_| Failure::usage(format!("{id:?} is no full container id")).on(id))
}

/// Says why it failed, lets go of whoever listens, and goes on as the container's policy has it.
fn start(context: &mut Context, id: &ContainerId) -> Outcome {
    let Err(error) = context.engine.start_wanted(id) else {
        return Ok(0);
    };
    context.out.line(&error.message)?;
    context.out.let_go()?;
    context.engine.keep_trying(id)?;
    Ok(0)
}
