//! `berth volume ls`.

use clap::Args;

use super::filter::Filters;
use crate::cli::parse::filter::filter;
use crate::cli::{Context, Outcome};
use crate::view::listing::Format;
use crate::view::row::method;
use crate::view::volume;

/// List volumes.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(super) struct Ls {
    /// Only those that fit: dangling, driver, label or name, such as dangling=true
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// table, table TEMPLATE, json, or a Go template such as {{.Name}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Names alone
    #[arg(short, long)]
    quiet: bool,
}

impl Ls {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.quiet {
            true => Format::parse(Some("{{.Name}}"), volume::TABLE)?,
            false => Format::parse(self.format.as_deref(), volume::TABLE)?,
        };
        let filters = Filters::new(&self.filter, &["dangling", "driver", "label", "name"])?;
        let users = match filters.switch("dangling") {
            Some(_) => context.engine.volume_users()?,
            None => Default::default(),
        };
        let rows: Vec<_> = context
            .engine
            .volumes()?
            .iter()
            .filter(|volume| filters.accept(&volume.file, users.contains_key(&volume.file.name)))
            .map(volume::row)
            .collect();
        format.write(&rows, &volume::COLUMNS, method, &mut context.out)?;
        // A damaged one must not hide the others, nor itself.
        let unreadable = context.engine.unreadable_volumes()?;
        if !unreadable.is_empty() {
            context.out.flush()?;
        }
        for (_, error) in unreadable {
            context.console.warn(&error.message);
        }
        Ok(0)
    }
}
