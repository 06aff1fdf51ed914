//! `berth map`: the processes of the host as a tree, one PID column per level.

use berth_map::draw::{Inodes, KernelThreads, MapOptions, Style, map};
use berth_map::json::MapDocument;
use berth_map::model::World;
use clap::Args;

use super::pid::sources;
use super::{Context, Outcome};
use crate::terminal::terminal_size;
use crate::view::json;

/// Width of the picture where no terminal gives one.
const WIDTH: usize = 100;

/// Draw all processes, their namespaces and their PIDs at each level.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Map {
    /// The documented, versioned JSON instead of the picture
    #[arg(long)]
    json: bool,
    /// A line for each kernel thread
    #[arg(short, long)]
    all: bool,
    /// Show the numbers of PID namespaces
    #[arg(long)]
    inodes: bool,
    /// Draw with ASCII characters alone
    #[arg(long)]
    ascii: bool,
    /// Width in characters; the terminal's when absent
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
}

impl Map {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let world = World::discover(&sources(context)?)?;
        if self.json {
            context
                .out
                .line(&json::pretty(&MapDocument::from(&world)))?;
            return Ok(0);
        }
        context.out.text(&map(&world, &self.options()))?;
        context.out.flush()?;
        context.warn_all(world.warnings());
        Ok(0)
    }

    fn options(&self) -> MapOptions {
        let terminal = match terminal_size() {
            (_, 0) => WIDTH,
            (_, columns) => usize::from(columns),
        };
        MapOptions {
            width: self.width.map_or(terminal, usize::from),
            style: if self.ascii || !speaks_unicode(|name| std::env::var(name).ok()) {
                Style::Ascii
            } else {
                Style::Unicode
            },
            kernel_threads: if self.all {
                KernelThreads::Listed
            } else {
                KernelThreads::Folded
            },
            inodes: if self.inodes {
                Inodes::Shown
            } else {
                Inodes::Hidden
            },
        }
    }
}

/// Whether the locale is a UTF-8 one (locale(7): LC_ALL, else LC_CTYPE, else LANG).
pub(super) fn speaks_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides() {
        let with = |pairs: &[(&str, &str)]| {
            speaks_unicode(|name| {
                let found = pairs.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_ALL", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LANG", "C.UTF-8")]));
        assert!(!with(&[]));
    }
}
