//! Commands whose flags are described once they are asked for.
//!
//! To describe all of some seventy commands takes longer than to list a few containers: one that was
//! typed is enough to read its line.

use std::ops::Deref;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

use super::usage::docker_booleans;

/// The arguments of a command. `Cli::command()` knows its name and what it is about; what it takes is
/// added when clap looks into it. What clap describes for an update, which Berth has no other use for,
/// is all of it at once, with booleans as they were declared.
#[derive(Debug)]
pub(crate) struct Later<T>(pub(crate) T);

impl<T> Deref for Later<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Args> Args for Later<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| docker_booleans(T::augment_args(command)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args(command)
    }

    fn group_id() -> Option<Id> {
        T::group_id()
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }

    fn update_from_arg_matches_mut(&mut self, matches: &mut ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches_mut(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, CommandFactory};

    use super::*;
    use crate::cli::Cli;
    use crate::cli::usage::{declared, surface};

    /// What a command takes, and those below it.
    fn takes(command: &mut Command) -> Vec<String> {
        command.build();
        let path = command.get_name().to_owned();
        let own = command.get_arguments().map(|arg| {
            let (long, short) = (arg.get_long(), arg.get_short());
            let (action, count) = (arg.get_action(), arg.get_num_args());
            let forms = (arg.get_default_values(), arg.is_require_equals_set());
            format!(
                "{path} {} {long:?} {short:?} {action:?} {count:?} {forms:?}",
                arg.get_id()
            )
        });
        let mut all: Vec<String> = own.collect();
        let below = command.get_subcommands_mut();
        all.extend(below.flat_map(takes).map(|line| format!("{path} {line}")));
        all
    }

    #[test]
    fn what_is_described_later_is_what_is_described_at_once() {
        let (later, at_once) = (
            takes(&mut docker_booleans(Cli::command())),
            takes(&mut surface()),
        );
        assert!(at_once.len() > 500, "{}", at_once.len());
        assert_eq!(later, at_once);
        let declared = declared();
        let run = declared.find_subcommand("run").unwrap();
        let rm = run
            .get_arguments()
            .find(|arg| arg.get_id() == "rm")
            .unwrap();
        assert!(matches!(rm.get_action(), ArgAction::SetTrue), "{rm:?}");
    }
}
