//! `berth ps`.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::time::SystemTime;

use berth_base::{Digest, Status, Timestamp, in_parts};
use clap::Args;

use super::filter::Filters;
use super::parse::filter::filter;
use super::parse::number::how_many;
use super::{Context, Outcome};
use crate::view::listing::{FEW, Format};
use crate::view::row::{self, Beside, Width};

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
    /// Show what each takes: bytes of its own files, and with its image
    #[arg(short, long)]
    size: bool,
}

impl Ps {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let table = match self.size {
            true => row::TABLE_SIZED,
            false => row::TABLE,
        };
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), table)?,
            false => Format::parse(self.format.as_deref(), table)?,
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
        // Adding up is slow: for whoever shows it alone.
        let sized = self.size || self.format.as_ref().is_some_and(|f| f.contains(".Size"));
        // The list is newest first. What is in it is not given back: the command is about to end.
        let containers = ManuallyDrop::new(context.containers()?);
        context.engine.look_after(containers.iter());
        let engine = &context.engine;
        let mut names: HashMap<(Option<&Digest>, &str), String> = HashMap::new();
        let shown: Vec<_> = containers
            .iter()
            .filter(|c| all || c.status.is_live() || c.status == Status::Restarting)
            .filter(|container| filters.accept(container))
            .take(last.unwrap_or(usize::MAX))
            .map(|container| {
                let create = &container.create;
                let image = (
                    create.source.as_ref().map(|source| &source.id),
                    &*create.image,
                );
                let image = names
                    .entry(image)
                    .or_insert_with(|| engine.shown_image(container));
                let beside = Beside {
                    image: image.clone(),
                    sizes: sized.then(|| engine.container_sizes(container)),
                };
                (container, beside)
            })
            .collect();
        let rows = in_parts(&shown, FEW, |part| {
            let rows = part.iter();
            let rows = rows.map(|(container, beside)| row::row(container, beside, width, now));
            rows.collect::<Vec<_>>()
        });
        let rows: Vec<_> = rows.into_iter().flatten().collect();
        let rows = ManuallyDrop::new(rows);
        format.write(&rows, &row::COLUMNS, row::method, &mut context.out)?;
        Ok(0)
    }
}
