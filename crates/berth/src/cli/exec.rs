//! `berth exec`.

use std::ffi::OsString;
use std::path::PathBuf;

use berth_engine::ExecOptions;
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::flags::environment;
use super::parse::env::{EnvRequest, env};
use super::parse::keys::{DetachKeys, detach_keys};
use super::parse::{absolute_path, user};
use super::run::attached_keys;
use super::{Context, Outcome, exec_sessions};
use crate::terminal::{
    Attachment, Shown, SignalPolicy, Signals, attach, check_terminal, terminal_size,
};

/// Run a further process in a running container.
#[derive(Args, Debug)]
#[command(
    override_usage = "berth exec [OPTIONS] CONTAINER COMMAND [ARG...]\n       berth exec ls [OPTIONS] [CONTAINER]\n       berth exec kill [OPTIONS] SESSION...",
    after_help = exec_sessions::HELP,
    args_override_self = true
)]
pub(crate) struct Exec {
    /// Leave it in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Environment variable, KEY=VALUE, or KEY for your own value
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = env, allow_hyphen_values = true)]
    env: Vec<EnvRequest>,
    /// Read environment variables from a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Working directory inside
    #[arg(short, long, value_name = "DIR", value_parser = absolute_path)]
    workdir: Option<String>,
    /// User and group inside, by name or id
    #[arg(short, long, value_name = "USER[:GROUP]", value_parser = user)]
    user: Option<String>,
    /// Give it all that you have
    #[arg(long)]
    privileged: bool,
    /// End all that it started when this client ends
    #[arg(long)]
    end_with_client: bool,
    /// Keys that leave it; ctrl-p,ctrl-q unless configured
    #[arg(long, value_name = "KEYS", value_parser = detach_keys, allow_hyphen_values = true)]
    detach_keys: Option<DetachKeys>,
    /// The container, then the command and its arguments; after the container nothing is a flag
    #[arg(value_name = "CONTAINER", trailing_var_arg = true, hide = true, action = ArgAction::Append)]
    container_and_command: Vec<String>,
}

impl Exec {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if let Some(verb) = self.verb(context) {
            return exec_sessions::run(context, verb);
        }
        let (reference, command) = self.subject()?;
        self.check_end_with_client()?;
        if !self.detach {
            check_terminal(self.interactive, self.tty)?;
        }
        let options = ExecOptions {
            command: command.to_vec(),
            env: environment(&self.env_file, &self.env)?,
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            terminal: self.tty,
            open_stdin: self.interactive && !self.detach,
            detach: self.detach,
            privileged: self.privileged,
            ends_with_client: self.end_with_client,
            size: terminal_size(),
        };
        let detach_keys = match self.end_with_client {
            true => Vec::new(),
            false => attached_keys(self.detach_keys.as_ref(), self.tty)?,
        };
        let id = context.engine.resolve(reference)?;
        if self.detach {
            // Dropping the session leaves the process to itself.
            drop(context.engine.exec(&id, &options)?);
            return Ok(0);
        }
        let mut signals = Signals::take(SignalPolicy::EndClient, self.tty)?;
        let mut session = context.engine.exec(&id, &options)?;
        let attachment = Attachment {
            engine: &context.engine,
            id: &id,
            stdin: options.open_stdin,
            output: Shown::ALL,
            joins: false,
            raw: options.open_stdin && self.tty,
            detach_keys,
            first_process: false,
        };
        Ok(attach(&attachment, &mut session, &mut signals)?.exit_code())
    }

    /// `ls` and `kill` stand where Docker has the container's name. They are verbs only where no
    /// container is called so, and where nothing that belongs to a command comes before them: so no
    /// line that works with Docker means something else here.
    fn verb(&self, context: &Context) -> Option<&[String]> {
        let words = self.container_and_command.as_slice();
        let first = words.first().filter(|word| exec_sessions::is_verb(word))?;
        let is_plain = !(self.detach || self.interactive || self.tty || self.privileged)
            && self.env.is_empty()
            && self.env_file.is_empty()
            && self.workdir.is_none()
            && self.user.is_none()
            && self.detach_keys.is_none()
            && !self.end_with_client
            && !is_escaped(words.len());
        (is_plain && context.engine.resolve(first).is_err()).then_some(words)
    }

    fn check_end_with_client(&self) -> Result<(), Failure> {
        let other = match (self.end_with_client, self.detach, &self.detach_keys) {
            (true, true, _) => "-d",
            (true, _, Some(_)) => "--detach-keys",
            _ => return Ok(()),
        };
        let text = format!("--end-with-client and {other} exclude each other; leave one out");
        Err(Failure::usage(text).on("--end-with-client"))
    }

    /// The container and the command.
    pub(super) fn subject(&self) -> Result<(&str, &[String]), Failure> {
        match self.container_and_command.split_first() {
            Some((reference, command)) if !command.is_empty() => Ok((reference, command)),
            _ => Err(Failure::usage(
                "\"berth exec\" needs a container and a command, as in \"berth exec web ps\"",
            )),
        }
    }
}

/// Whether `--` stands before the last `words` arguments of the command line: then the first of them
/// is a container.
fn is_escaped(words: usize) -> bool {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let before = arguments.len().checked_sub(words + 1);
    before
        .and_then(|at| arguments.get(at))
        .is_some_and(|a| a == "--")
}
