//! `berth exec`.

use std::path::PathBuf;

use berth_engine::ExecOptions;
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::flags::environment;
use super::parse::env::{EnvRequest, env};
use super::parse::keys::{DetachKeys, detach_keys};
use super::parse::{absolute_path, user};
use super::run::attached_keys;
use super::{Context, Outcome};
use crate::terminal::{Attachment, SignalPolicy, Signals, attach, check_terminal, terminal_size};

/// Run a further process in a running container.
#[derive(Args, Debug)]
#[command(
    override_usage = "berth exec [OPTIONS] CONTAINER COMMAND [ARG...]",
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
    /// Keys that leave it
    #[arg(long, value_name = "KEYS", value_parser = detach_keys, allow_hyphen_values = true)]
    detach_keys: Option<DetachKeys>,
    /// The container, then the command and its arguments; after the container nothing is a flag
    #[arg(value_name = "CONTAINER", trailing_var_arg = true, hide = true, action = ArgAction::Append)]
    container_and_command: Vec<String>,
}

impl Exec {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let (reference, command) = self.subject()?;
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
            size: terminal_size(),
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
            raw: options.open_stdin && self.tty,
            detach_keys: attached_keys(self.detach_keys.as_ref(), self.tty),
            first_process: false,
        };
        Ok(attach(&attachment, &mut session, &mut signals)?.exit_code())
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
