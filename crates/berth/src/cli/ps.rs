//! `berth ps`.

use std::time::SystemTime;

use berth_base::Timestamp;
use clap::Args;

use super::filter::Filters;
use super::parse::filter::filter;
use super::parse::number::how_many;
use super::{Context, Outcome};
use crate::view::listing::Format;
use crate::view::row::{self, Width};

/// List containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Ps {
    /// Those that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Only those that fit, such as status=exited or label=a=b
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// table, table TEMPLATE, json, or a Go template such as {{.ID}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// The N made last, whether they run or not
    #[arg(short = 'n', long, value_name = "N", value_parser = how_many,
          allow_negative_numbers = true)]
    last: Option<i64>,
    /// The one made last, whether it runs or not
    #[arg(short, long)]
    latest: bool,
    /// Show long values whole
    #[arg(long)]
    no_trunc: bool,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
}

impl Ps {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), row::TABLE)?,
            false => Format::parse(self.format.as_deref(), row::TABLE)?,
        };
        let filters = Filters::new(&self.filter, &context.engine)?;
        let last = match (self.latest, self.last) {
            (true, _) => Some(1),
            (false, Some(last)) => usize::try_from(last).ok().filter(|last| *last > 0),
            (false, None) => None,
        };
        let all = self.all || last.is_some() || filters.want_ended();
        let now = Timestamp::from(SystemTime::now());
        let width = if self.no_trunc {
            Width::Full
        } else {
            Width::Short
        };
        // The list is newest first.
        let rows: Vec<_> = context
            .engine
            .list()?
            .iter()
            .filter(|container| all || container.status.is_live())
            .filter(|container| filters.accept(container))
            .take(last.unwrap_or(usize::MAX))
            .map(|container| row::row(container, width, now))
            .collect();
        format.write(&rows, &row::COLUMNS, row::method, &mut context.out)?;
        Ok(0)
    }
}
