//! `berth volume prune`.

use berth_engine::VolumePrune;
use clap::Args;

use super::filter::Filters;
use crate::cli::confirm::confirm;
use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::size;

/// Remove volumes that no container has.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Prune {
    /// Also those that have a name, not the anonymous alone
    #[arg(short, long)]
    all: bool,
    /// Only those that fit, such as label=a=b or label!=a
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let filters = Filters::new(&self.filter, &["all", "label", "label!"])?;
        let all = self.all || filters.switch("all") == Some(true);
        let kind = if all { "all" } else { "anonymous" };
        let what = format!("{kind} local volumes that no container uses");
        if !self.force && !confirm(&what) {
            return Ok(0);
        }
        let prune = VolumePrune {
            all,
            fits: &|file| filters.accept(file, false),
        };
        let pruned = context.engine.prune_volumes(&prune)?;
        if !pruned.removed.is_empty() {
            context.out.line("Deleted Volumes:")?;
            for name in &pruned.removed {
                context.out.line(name.as_str())?;
            }
            context.out.line("")?;
        }
        let reclaimed = size::decimal(pruned.reclaimed_bytes);
        context
            .out
            .line(&format!("Total reclaimed space: {reclaimed}"))?;
        if pruned.errors.is_empty() {
            return Ok(0);
        }
        context.out.flush()?;
        for error in pruned.errors {
            context.console.fail(&Failure::from(error));
        }
        Ok(EXIT_FAILURE)
    }
}
