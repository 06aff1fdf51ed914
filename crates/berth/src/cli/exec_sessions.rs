//! `berth exec ls` and `berth exec kill`: the sessions that `berth exec` began.
//!
//! They are no subcommands in the sense of clap: `exec` takes a container first.

use std::time::SystemTime;

use berth_base::Timestamp;
use berth_engine::{Container, ExecSession};
use clap::{Args, FromArgMatches, Parser, Subcommand};

use super::failure::{EXIT_FAILURE, Failure};
use super::parse::signal::signal;
use super::usage::{self, Early};
use super::{Context, Outcome};
use crate::view::exec_session as view;
use crate::view::listing::Format;
use crate::view::row::{Width, method};

/// What the help of `exec` says about them.
pub(super) const HELP: &str = "\
Sessions:
  berth exec ls     List the sessions that run, of one container or of all
  berth exec kill   End sessions with all that they started, or send them a signal

A container that is called ls or kill comes first; \"berth exec -- NAME COMMAND\" is always a container.";

/// As much of a command line as these verbs need.
#[derive(Parser, Debug)]
#[command(name = "berth", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    group: Group,
}

#[derive(Subcommand, Debug)]
enum Group {
    /// Run a further process in a running container
    Exec(Verbs),
}

#[derive(Args, Debug)]
#[command(disable_help_subcommand = true)]
struct Verbs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the exec sessions that run
    Ls(Ls),
    /// End exec sessions with all that they started, or send them a signal
    Kill(Kill),
}

/// List the exec sessions that run.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
struct Ls {
    /// table, table TEMPLATE, json, or a Go template such as {{.ID}}
    #[arg(long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show long values whole
    #[arg(long)]
    no_trunc: bool,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
    /// The container; all when absent
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,
}

/// End exec sessions.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
struct Kill {
    /// The signal; KILL ends every process of the session, any other one goes to its main process
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "KILL")]
    signal: i32,
    /// Sessions, by id or unique beginning of an id
    #[arg(value_name = "SESSION", required = true)]
    sessions: Vec<String>,
}

/// Whether a word is one of these verbs.
pub(super) fn is_verb(word: &str) -> bool {
    matches!(word, "ls" | "kill")
}

/// Runs the verb that `words` begin with.
pub(super) fn run(context: &mut Context, words: &[String]) -> Outcome {
    let done = match parse(words) {
        Ok(Verb::Ls(ls)) => ls.execute(context),
        Ok(Verb::Kill(kill)) => kill.execute(context),
        Err(Early::Show(text)) => context.out.text(&text).map(|()| 0),
        Err(Early::Fail(failure)) => return Err(*failure),
    };
    // 125 is for a process that could not be started, and for bad usage.
    done.map_err(|failure| Failure {
        exit_code: failure.exit_code.or(Some(EXIT_FAILURE)),
        ..failure
    })
}

fn parse(words: &[String]) -> Result<Verb, Early> {
    let command = usage::docker_booleans(<Line as clap::CommandFactory>::command());
    let arguments = ["berth", "exec"].into_iter().map(Into::into);
    let arguments: Vec<_> = arguments.chain(words.iter().map(Into::into)).collect();
    let line = usage::parse_with(command, &arguments, |mut matches| {
        Line::from_arg_matches_mut(&mut matches)
    })?;
    let Group::Exec(verbs) = line.group;
    Ok(verbs.verb)
}

impl Ls {
    fn execute(&self, context: &mut Context) -> Outcome {
        let format = match self.quiet {
            true => Format::parse(Some("{{.ID}}"), view::TABLE)?,
            false => Format::parse(self.format.as_deref(), view::TABLE)?,
        };
        let width = match self.no_trunc {
            true => Width::Full,
            false => Width::Short,
        };
        let mut sessions = Vec::new();
        match &self.container {
            Some(reference) => {
                let id = context.engine.resolve(reference)?;
                let container = context.engine.inspect(&id)?;
                sessions.extend(context.engine.exec_sessions(&container)?);
            }
            None => {
                for container in context.engine.list()? {
                    sessions.extend(known(context, &container)?);
                }
            }
        }
        let now = Timestamp::from(SystemTime::now());
        let rows: Vec<_> = sessions
            .iter()
            .map(|session| view::row(session, width, now))
            .collect();
        format.write(&rows, &view::COLUMNS, method, &mut context.out)?;
        Ok(0)
    }
}

/// The sessions of one of many; one whose monitor cannot tell must not hide the others.
fn known(context: &mut Context, container: &Container) -> Result<Vec<ExecSession>, Failure> {
    match context.engine.exec_sessions(container) {
        Ok(sessions) => Ok(sessions),
        Err(error) => {
            context.console.warn(&error.message);
            Ok(Vec::new())
        }
    }
}

impl Kill {
    fn execute(&self, context: &mut Context) -> Outcome {
        let mut code = 0;
        for reference in &self.sessions {
            let found = context.engine.find_exec_session(reference);
            let done = found.and_then(|s| context.engine.signal_exec_session(&s, self.signal));
            match done {
                Ok(()) => context.out.line(reference)?,
                Err(error) => {
                    context.out.flush()?;
                    context.console.fail(&error.into());
                    code = EXIT_FAILURE;
                }
            }
        }
        Ok(code)
    }
}
