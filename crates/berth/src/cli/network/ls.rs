//! `berth network ls`.

use clap::Args;

use super::filter::Filters;
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::listing::Format;
use crate::view::network;
use crate::view::row::{Width, method};

/// List networks.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Ls {
    /// Only those that fit: dangling, driver, id, label, name, scope or type, such as driver=bridge
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// table, table TEMPLATE, json, or a Go template such as {{.Name}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
}

impl Ls {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), network::TABLE)?,
            false => Format::parse(self.format.as_deref(), network::TABLE)?,
        };
        let known = ["dangling", "driver", "id", "label", "name", "scope", "type"];
        let filters = Filters::new(&self.filter, &known)?;
        let used = context.engine.networks_in_use()?;
        let width = if self.no_trunc {
            Width::Full
        } else {
            Width::Short
        };
        let rows: Vec<_> = context
            .engine
            .list_networks()?
            .iter()
            .filter(|file| filters.accept(file, used.contains(file.name.as_str())))
            .map(|file| network::row(file, width))
            .collect();
        format.write(&rows, &network::COLUMNS, method, &mut context.out)?;
        // A damaged one must not hide the others, nor itself.
        let unreadable = context.engine.unreadable_networks()?;
        if !unreadable.is_empty() {
            context.out.flush()?;
        }
        for (_, error) in unreadable {
            context.console.warn(&error.message);
        }
        Ok(0)
    }
}
