//! `berth ps`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use berth_base::{Digest, Status, Timestamp};
use berth_engine::{Container, Engine};
use clap::Args;

use super::filter::Filters;
use super::parse::filter::filter;
use super::parse::number::how_many;
use super::{Context, Outcome};
use crate::view::listing::Format;
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
        let for_terminal = context.out.is_terminal();
        format.check(Some(&row::sample()), &row::COLUMNS, row::method)?;
        let engine = &context.engine;
        let names = Names::default();
        let line = |container: Container| {
            engine.look_after([&container]);
            let status = container.status;
            if !(all || status.is_live() || status == Status::Restarting)
                || !filters.accept(&container)
            {
                return None;
            }
            let beside = Beside {
                image: names.of(&container, engine),
                sizes: sized.then(|| engine.container_sizes(&container)),
            };
            let row = row::row(&container, &beside, width, now);
            Some(format.line(&row, row::method, for_terminal))
        };
        let lines = match last {
            // Who they are is known once all are read.
            Some(last) => {
                let newest_first = context.containers()?.into_iter();
                newest_first.filter_map(line).take(last).collect()
            }
            // A line is made as soon as its container is read: a thousand are never held at once.
            None => context.each_container(line)?,
        };
        let lines = lines.into_iter().collect::<Result<_, _>>()?;
        context.out.text(&format.whole(lines, &row::COLUMNS)?)?;
        Ok(0)
    }
}

/// What images are called now, each asked once.
#[derive(Default)]
struct Names(Mutex<HashMap<(Option<Digest>, String), String>>);

impl Names {
    fn of(&self, container: &Container, engine: &Engine) -> String {
        let create = &container.create;
        let id = create.source.as_ref().map(|source| source.id.clone());
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = names.entry((id, create.image.clone()));
        name.or_insert_with(|| engine.shown_image(container))
            .clone()
    }
}
