//! `berth image prune`.

use clap::Args;

use super::filter::ImageFilters;
use super::rm::tell;
use crate::cli::confirm::confirm;
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
        if !self.force && !confirm(what) {
            return Ok(0);
        }
        let (bytes, code) = prune(context, self.all, &filters)?;
        let freed = size::decimal(bytes);
        context
            .out
            .line(&format!("Total reclaimed space: {freed}"))?;
        Ok(code)
    }
}

/// Removes images that nothing uses, and says which; the bytes that were freed, and the exit code.
pub(crate) fn prune(
    context: &mut Context,
    all: bool,
    filters: &ImageFilters,
) -> Result<(u64, u8), Failure> {
    let pruned = context
        .engine
        .prune_images(all || filters.wants_named(), |image| !filters.accept(image))?;
    if !pruned.removed.is_empty() {
        context.out.line("Deleted Images:")?;
        tell(context, &pruned.removed)?;
        context.out.line("")?;
    }
    let mut code = 0;
    context.out.flush()?;
    for error in pruned.errors {
        context.console.fail(&Failure::from(error));
        code = EXIT_FAILURE;
    }
    Ok((pruned.bytes, code))
}
