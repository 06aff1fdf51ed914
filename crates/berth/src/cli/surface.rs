//! The command line described as data, for `cargo xtask verbs` and the packaging.

use clap::builder::ArgAction;
use clap::{Arg, Command};
use serde::Serialize;

/// One command, or the program itself, whose path is empty.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Described {
    path: String,
    aliases: Vec<String>,
    flags: Vec<Flag>,
}

/// A flag: its long names without dashes, its letter, and whether a value has to follow.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Flag {
    long: Vec<String>,
    short: Option<char>,
    takes_value: bool,
}

/// Lists a command and all below it, hidden ones left out.
pub(super) fn describe(root: &Command) -> Vec<Described> {
    let mut all = Vec::new();
    walk(root, "", &mut all);
    all
}

fn walk(command: &Command, path: &str, all: &mut Vec<Described>) {
    all.push(Described {
        path: path.to_owned(),
        aliases: command.get_all_aliases().map(str::to_owned).collect(),
        flags: command
            .get_arguments()
            .filter(|arg| !arg.is_positional())
            .map(flag)
            .collect(),
    });
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let path = format!("{path} {}", below.get_name());
        walk(below, path.trim_start(), all);
    }
}

fn flag(arg: &Arg) -> Flag {
    let aliases = arg.get_all_aliases().unwrap_or_default();
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    Flag {
        long: arg
            .get_long()
            .into_iter()
            .chain(aliases)
            .map(str::to_owned)
            .collect(),
        short: arg.get_short(),
        // An optional value, as of --rm=false, is none that has to follow.
        takes_value: takes && !arg.is_require_equals_set(),
    }
}
