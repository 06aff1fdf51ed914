//! What the prune commands have in common: flags, the question, lists, and the sum at the end.

use std::io::{self, BufRead, Write};

use berth_engine::EngineError;
use clap::Args;

use super::failure::{EXIT_FAILURE, Failure};
use super::parse::filter::filter;
use super::{Context, Outcome};
use crate::view::size;

/// Flags of all of them.
#[derive(Args, Debug)]
pub(super) struct PruneFlags {
    /// Only those that fit, such as label=a=b, label!=a or until=24h
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    pub(super) filter: Vec<(String, String)>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl PruneFlags {
    /// Whether the user wants it, who is asked unless told otherwise. `what` completes "This will
    /// remove".
    pub(super) fn is_wanted(&self, what: &str) -> bool {
        self.force || confirm(what)
    }
}

/// Asks on standard error, where data is not in the way, and takes the answer from standard input;
/// anything but y is a no.
fn confirm(what: &str) -> bool {
    let question =
        format!("WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut answer = String::new();
    let asked = io::stderr().write_all(question.as_bytes());
    let read = io::stdin().lock().read_line(&mut answer);
    asked.is_ok() && read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// What has been removed so far.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    bytes: u64,
    failed: bool,
}

impl Pruning {
    /// Says what was removed, a line each, and what could not be.
    pub(super) fn add(
        &mut self,
        context: &mut Context,
        heading: &str,
        removed: &[impl ToString],
        bytes: u64,
        errors: Vec<EngineError>,
    ) -> Result<(), Failure> {
        if !removed.is_empty() {
            context.out.line(heading)?;
            for one in removed {
                context.out.line(&one.to_string())?;
            }
            context.out.line("")?;
        }
        context.out.flush()?;
        self.bytes += bytes;
        self.failed |= !errors.is_empty();
        for error in errors {
            context.console.fail(&Failure::from(error));
        }
        Ok(())
    }

    /// Says how much room there is now.
    pub(super) fn end(self, context: &mut Context) -> Outcome {
        let freed = size::decimal(self.bytes);
        context
            .out
            .line(&format!("Total reclaimed space: {freed}"))?;
        Ok(self.code())
    }

    /// The exit code.
    pub(super) const fn code(&self) -> u8 {
        if self.failed { EXIT_FAILURE } else { 0 }
    }
}
