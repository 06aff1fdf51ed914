//! `berth internal`: what monitors execute. No user types it.

use std::path::PathBuf;

use berth_base::ContainerId;
use clap::{Args, Subcommand};

use super::failure::{EXIT_FAILURE, Failure};
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
    /// Answer containers' questions for names
    Dns,
    /// Compress the turned files of a log
    PackLog {
        /// Its newest file
        path: PathBuf,
    },
    /// Try one thing that "system doctor" wants to know, in namespaces of its own
    Probe {
        /// Which thing
        what: String,
    },
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
        let id = match &self.command {
            InternalCommand::Exited { id } => id,
            InternalCommand::Dns => {
                context.engine.resolve_names()?;
                return Ok(0);
            }
            InternalCommand::PackLog { path } => {
                berth_engine::pack_log(path)?;
                return Ok(0);
            }
            InternalCommand::Probe { what } => {
                return match super::system::doctor::probe::perform(what) {
                    Ok(()) => Ok(0),
                    Err(why) => {
                        context.out.line(&why)?;
                        Ok(EXIT_FAILURE)
                    }
                };
            }
            InternalCommand::Settle => {
                context.engine.settle_layers()?;
                return Ok(0);
            }
            InternalCommand::Storage { work } => {
                berth_engine::storage_worker(work);
                return Ok(0);
            }
        };
        let id: ContainerId = id.parse().map_err(|_| {
            Failure::usage(format!("{id:?} is no full container id")).on(id.as_str())
        })?;
        context.engine.exited(&id)?;
        Ok(0)
    }
}
