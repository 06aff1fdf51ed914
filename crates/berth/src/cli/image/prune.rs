//! `berth image prune`.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;

use super::filter::ImageFilters;
use super::rm::tell;
use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::size;

/// Remove images that nothing uses.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Prune {
    /// Those with a name, too, if no container was made from them
    #[arg(short, long)]
    all: bool,
    /// Only those that fit, such as until=24h or label=a=b
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = ImageFilters::for_prune(&self.filter)?;
        let what = match self.all {
            true => "all images that no container was made from",
            false => "all images without a name",
        };
        if !self.force && !confirm(what)? {
            return Ok(0);
        }
        let all = self.all || filters.wants_named();
        let pruned = context
            .engine
            .prune_images(all, |image| !filters.accept(image))?;
        if !pruned.removed.is_empty() {
            context.out.line("Deleted Images:")?;
            tell(context, &pruned.removed)?;
            context.out.line("")?;
        }
        let freed = size::decimal(pruned.bytes);
        context
            .out
            .line(&format!("Total reclaimed space: {freed}"))?;
        let failed = !pruned.errors.is_empty();
        context.out.flush()?;
        for error in pruned.errors {
            context.console.fail(&Failure::from(error));
        }
        Ok(if failed { EXIT_FAILURE } else { 0 })
    }
}

/// Asks before something is removed. Where nobody can be asked, the answer is a usage error.
pub(crate) fn confirm(what: &str) -> Result<bool, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(format!(
            "this removes {what}, and there is no terminal to ask on; give --force"
        )));
    }
    let mut stderr = io::stderr();
    let asked = write!(
        stderr,
        "WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] "
    )
    .and_then(|()| stderr.flush());
    let mut answer = String::new();
    if asked.is_err() || stdin.lock().read_line(&mut answer).is_err() {
        return Ok(false);
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
