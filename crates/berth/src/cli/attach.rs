//! `berth attach`.

use clap::{ArgAction, Args};

use super::parse::keys::{DetachKeys, detach_keys};
use super::run::attached_keys;
use super::{Context, Outcome};
use crate::terminal::{Attachment, Shown, SignalPolicy, Signals, attach, check_terminal};

/// Join the streams of a running container.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Attach {
    /// Keys that leave it; ctrl-p,ctrl-q unless configured
    #[arg(long, value_name = "KEYS", value_parser = detach_keys, allow_hyphen_values = true)]
    detach_keys: Option<DetachKeys>,
    /// Leave its standard input alone
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to it, where there is no terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set,
          hide_possible_values = true, hide_default_value = true)]
    sig_proxy: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Attach {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let id = context.engine.resolve(&self.container)?;
        let options = context.engine.inspect(&id)?.create.options;
        let stdin = !self.no_stdin && options.open_stdin;
        check_terminal(stdin, options.terminal)?;
        let policy = SignalPolicy::of(self.sig_proxy, options.terminal);
        let detach_keys = attached_keys(self.detach_keys.as_ref(), options.terminal)?;
        let mut signals = Signals::take(policy, options.terminal)?;
        let mut session = context.engine.attach(&id, stdin)?;
        let attachment = Attachment {
            engine: &context.engine,
            id: &id,
            stdin,
            output: Shown::ALL,
            joins: true,
            raw: stdin && options.terminal,
            detach_keys,
            first_process: true,
        };
        Ok(attach(&attachment, &mut session, &mut signals)?.exit_code())
    }
}
