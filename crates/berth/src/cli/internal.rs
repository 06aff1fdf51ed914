//! `berth internal`: what monitors, shells and the packaging execute. No user types it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use berth_base::{ContainerId, ErrorClass};
use berth_engine::Engine;
use clap::{Args, CommandFactory, Subcommand};

use super::complete::{EngineNames, complete};
use super::failure::{EXIT_FAILURE, Failure};
use super::surface::describe;
use super::{Cli, Context, Outcome, manual, usage};

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
    /// Say what could come next on a command line
    Complete {
        /// What stands behind the program's name; the last word is the one to complete
        #[arg(last = true)]
        words: Vec<OsString>,
    },
    /// Describe every command and flag as JSON
    Surface,
    /// Write a manual page for each command
    Man {
        /// The folder, which exists
        folder: PathBuf,
        /// The day at their foot, as 2026-01-31
        #[arg(default_value = "1970-01-01")]
        date: String,
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
            InternalCommand::Complete { words } => {
                context.out.bytes(completions(words).as_bytes())?;
                return Ok(0);
            }
            InternalCommand::Surface => {
                context.out.document(&describe(&usage::surface()))?;
                return Ok(0);
            }
            InternalCommand::Man { folder, date } => return manual_pages(folder, date),
        };
        let id: ContainerId = id.parse().map_err(|_| {
            Failure::usage(format!("{id:?} is no full container id")).on(id.as_str())
        })?;
        context.engine.exited(&id)?;
        Ok(0)
    }
}

/// What could come next. The names are those of the engine that the line itself chooses by its global
/// flags.
fn completions(words: &[OsString]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let engine = engine_of(&words);
    complete(&usage::surface(), &words, &EngineNames(engine)).text()
}

/// The engine of a line that may be incomplete: what stands before its command decides.
fn engine_of(words: &[String]) -> Option<Engine> {
    let root = Cli::command();
    let end = words
        .iter()
        .position(|word| root.find_subcommand(word).is_some())?;
    let mut line = vec![OsString::from("berth")];
    line.extend(words[..end].iter().map(OsString::from));
    line.push("version".into());
    let cli = usage::parse(&line).ok()?;
    Engine::open(cli.global.engine_config().ok()?).ok()
}

fn manual_pages(folder: &Path, date: &str) -> Outcome {
    manual::write(folder, date).map_err(|error| {
        let text = format!("cannot write manual pages to {}: {error}", folder.display());
        Failure::new(ErrorClass::Unavailable, text)
    })?;
    Ok(0)
}
