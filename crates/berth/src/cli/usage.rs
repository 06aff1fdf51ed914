//! From arguments to a parsed command, and from clap's errors to one line each.

use std::ffi::OsString;

use clap::builder::ArgAction;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, Subcommand};

use super::failure::Failure;
use super::parse::nearest::nearest;
use super::parse::switch;
use super::{Cli, CliCommand};
use super::{elsewhere, empty, help};

/// The value name that marks a boolean which also takes `=true` and `=false`.
const BOOLEAN: &str = "BOOL";

/// What a command line comes to when it is no command to execute.
#[derive(Debug)]
pub(crate) enum Early {
    /// Text that was asked for: help or the version.
    Show(String),
    /// Bad usage.
    Fail(Box<Failure>),
}

/// Parses the arguments, program name included.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, Early> {
    let read = |mut matches| Cli::from_arg_matches_mut(&mut matches);
    let mut arguments = arguments.to_vec();
    loop {
        let mut quick = docker_booleans(Cli::command());
        let parsed = quick.try_get_matches_from_mut(&arguments).and_then(read);
        match parsed {
            Ok(cli) => return Ok(cli),
            Err(error) if empty::take_out(&mut arguments, &error) => {}
            // Help and the nearest of what was mistyped need to know the other commands.
            Err(_) => return parse_with(surface(), &arguments, read),
        }
    }
}

/// Parses arguments by any command that is called berth.
pub(super) fn parse_with<T>(
    mut command: Command,
    arguments: &[OsString],
    read: impl FnOnce(ArgMatches) -> Result<T, clap::Error>,
) -> Result<T, Early> {
    let parsed = command.try_get_matches_from_mut(arguments).and_then(read);
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => Early::Show(help_text(&error.render().to_string())),
        _ => Early::Fail(Box::new(explain(&command, &error, arguments))),
    })
}

/// The whole command line as clap sees it.
pub(crate) fn surface() -> Command {
    help::arrange(docker_booleans(declared()))
}

/// The whole command line as it was declared: booleans take no value.
pub(super) fn declared() -> Command {
    let whole = CliCommand::augment_subcommands_for_update(Command::new("berth"));
    Cli::command().mut_subcommands(|later| {
        let at_once = whole.find_subcommand(later.get_name());
        at_once.cloned().unwrap_or(later)
    })
}

/// Has boolean flags take `=true` and `=false`, as Docker's do.
pub(super) fn docker_booleans(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_action() {
            ArgAction::SetTrue => boolean(arg),
            _ => empty::refuse_format(arg),
        })
        .mut_subcommands(docker_booleans)
}

fn boolean(arg: Arg) -> Arg {
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .value_parser(switch)
        .default_value("false")
        .default_missing_value("true")
        .value_name(BOOLEAN)
        .hide_default_value(true)
        .hide_possible_values(true)
}

/// Takes the marks of optional booleans out of a help text, keeping its columns.
fn help_text(text: &str) -> String {
    let mark = format!("[=<{BOOLEAN}>]");
    let spaces = " ".repeat(mark.len());
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.replace(&mark, &spaces).trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// Turns clap's error into our one line.
fn explain(root: &Command, error: &clap::Error, arguments: &[OsString]) -> Failure {
    let path = failed_command(root, error).or_else(|| {
        let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
        words
            .find_map(|word| root.find_subcommand(word))
            .map(|command| vec![command])
    });
    let path = path.unwrap_or_default();
    let command = path.last().copied();
    let name = path
        .iter()
        .fold(root.get_name().to_owned(), |name, command| {
            format!("{name} {}", command.get_name())
        });
    let see = format!("see \"{name} --help\"");
    let argument = text_of(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = text_of(error, ContextKind::InvalidValue).unwrap_or_default();
    let flag = bare_flag(&argument);
    match error.kind() {
        ErrorKind::UnknownArgument => unknown_argument(root, command, &name, &argument),
        ErrorKind::InvalidSubcommand => {
            let typed = text_of(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            unknown_command(root, command, &name, &typed)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            Failure::usage(format!("{flag} of \"{name}\" needs a value; {see}")).on(flag)
        }
        ErrorKind::InvalidValue => {
            let accepted = text_of(error, ContextKind::ValidValue).unwrap_or_default();
            Failure::usage(format!(
                "invalid value {value:?} for {flag}: give {accepted}"
            ))
            .on(flag)
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.unwrap_or_else(|| "it does not parse".to_owned());
            Failure::usage(format!("invalid value {value:?} for {flag}: {why}")).on(flag)
        }
        ErrorKind::NoEquals => Failure::usage(format!(
            "{flag} takes its value after a =, as in {flag}=true"
        ))
        .on(flag),
        ErrorKind::MissingSubcommand => Failure::usage(format!("a command is missing; {see}")),
        ErrorKind::MissingRequiredArgument => {
            let missing = argument
                .replace(['<', '>', '[', ']'], "")
                .replace("...", "");
            Failure::usage(format!("\"{name}\" needs {missing}; {see}")).on(name)
        }
        ErrorKind::ArgumentConflict => {
            let other = text_of(error, ContextKind::PriorArg).unwrap_or_default();
            let other = bare_flag(&other);
            Failure::usage(format!("{flag} and {other} exclude each other; {see}")).on(flag)
        }
        ErrorKind::InvalidUtf8 => Failure::usage(format!(
            "an argument of \"{name}\" is not UTF-8, which the OCI specification asks for"
        )),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Failure::usage(format!("{first}; {see}"))
        }
    }
}

fn unknown_command(root: &Command, command: Option<&Command>, name: &str, typed: &str) -> Failure {
    let (group, name) = match command.filter(|command| command.has_subcommands()) {
        Some(group) => (group, name),
        None => (root, root.get_name()),
    };
    if name == root.get_name()
        && let Some(refusal) = elsewhere::refusal(typed)
    {
        return refusal;
    }
    let known = shown(group).map(Command::get_name);
    let in_groups = || {
        let groups = shown(root).filter(|command| command.has_subcommands());
        groups
            .filter(|group| shown(group).any(|command| command.get_name() == typed))
            .map(|group| format!("{} {} {typed}", root.get_name(), group.get_name()))
            .next()
    };
    let exact = (name == root.get_name()).then(in_groups).flatten();
    let near = || nearest(typed, known).map(|near| format!("{name} {near}"));
    let next = match exact.or_else(near) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("see \"{name} --help\""),
    };
    Failure::usage(format!("unknown command {typed:?}; {next}")).on(typed)
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set())
}

fn unknown_argument(
    root: &Command,
    command: Option<&Command>,
    name: &str,
    argument: &str,
) -> Failure {
    let failed = command.unwrap_or(root);
    let typed = argument.split('=').next().unwrap_or(argument);
    if !typed.starts_with('-') {
        return Failure::usage(format!(
            "\"{name}\" takes no argument {typed:?} here; see \"{name} --help\""
        ))
        .on(typed);
    }
    let long = typed.strip_prefix("--");
    let of = command.map(Command::get_name);
    let refusal = |long: &str| {
        let of_program = || elsewhere::flag_refusal(None, long);
        elsewhere::flag_refusal(of, long).or_else(of_program)
    };
    if let Some(why) = long.and_then(refusal) {
        return Failure::usage(format!("{typed} is not for berth: {why}")).on(typed);
    }
    let is_global = |long: &str| root.get_arguments().any(|arg| arg.get_long() == Some(long));
    let next = match long {
        Some(long) if command.is_some() && is_global(long) => {
            format!(
                "it stands before the command, as in \"berth {typed} ... {}\"",
                failed.get_name()
            )
        }
        Some(long) => match nearest_flag(failed, long).or_else(|| nearest_flag(root, long)) {
            Some(near) => format!("did you mean --{near}?"),
            None => format!("see \"{name} --help\""),
        },
        None => format!("see \"{name} --help\""),
    };
    Failure::usage(format!("unknown flag {typed} for \"{name}\"; {next}")).on(typed)
}

fn nearest_flag(command: &Command, long: &str) -> Option<String> {
    let flags: Vec<&str> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .flat_map(|arg| {
            let aliases = arg.get_visible_aliases().unwrap_or_default();
            arg.get_long().into_iter().chain(aliases)
        })
        .collect();
    nearest(long, flags).map(str::to_owned)
}

/// The subcommand whose usage the error shows, after the groups that it is in.
fn failed_command<'a>(root: &'a Command, error: &clap::Error) -> Option<Vec<&'a Command>> {
    let usage = text_of(error, ContextKind::Usage).or_else(|| {
        let text = error.render().to_string();
        let line = text.lines().find(|line| line.starts_with("Usage:"))?;
        Some(line.to_owned())
    })?;
    let words = usage
        .split_whitespace()
        .skip_while(|w| *w != root.get_name())
        .skip(1);
    let mut path: Vec<&Command> = Vec::new();
    for word in words {
        match path.last().unwrap_or(&root).find_subcommand(word) {
            Some(command) => path.push(command),
            None => break,
        }
    }
    (!path.is_empty()).then_some(path)
}

/// A context value of clap's error as plain text.
pub(super) fn text_of(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        // Display leaves the colours out.
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

/// `--memory <SIZE>` and `--tty[=<BOOL>]` without the value.
pub(super) fn bare_flag(argument: &str) -> String {
    let end = argument
        .find([' ', '[', '=', '<'])
        .unwrap_or(argument.len());
    match argument.get(..end).unwrap_or_default() {
        "" => argument.replace(['<', '>', '[', ']'], ""),
        flag => flag.to_owned(),
    }
}
