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
        match &self.command {
            InternalCommand::Exited { id } => context.engine.exited(&full_id(id)?)?,
            InternalCommand::Start { id } => return start(context, &full_id(id)?),
            InternalCommand::Unhealthy { id } => context.engine.unhealthy(&full_id(id)?)?,
            InternalCommand::Dns => context.engine.resolve_names()?,
            InternalCommand::PackLog { path } => berth_engine::pack_log(path)?,
            InternalCommand::Probe { what } => return probe(context, what),
            InternalCommand::Settle => context.engine.settle_layers()?,
            InternalCommand::Storage { work } => berth_engine::storage_worker(work),
            InternalCommand::Complete { words } => {
                context.out.bytes(completions(words).as_bytes())?;
            }
            InternalCommand::Surface => context.out.document(&describe(&usage::surface()))?,
            InternalCommand::Man { folder, date } => return manual_pages(folder, date),
        }
        Ok(0)
    }
}

fn full_id(id: &str) -> Result<ContainerId, Failure> {
    id.parse()
        .map_err(|_| Failure::usage(format!("{id:?} is no full container id")).on(id))
}

fn probe(context: &mut Context, what: &str) -> Outcome {
    match super::system::doctor::probe::perform(what) {
        Ok(()) => Ok(0),
        Err(why) => {
            context.out.line(&why)?;
            Ok(EXIT_FAILURE)
        }
    }
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
