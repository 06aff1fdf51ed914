//! `berth start`.

use berth_base::{ContainerId, Status};
use berth_engine::StartAttach;
use clap::{ArgAction, Args};

use super::failure::Failure;
use super::parse::keys::{DetachKeys, detach_keys};
use super::run::attached_keys;
use super::{Context, Outcome};
use crate::terminal::{
    Attachment, Shown, SignalPolicy, Signals, attach, check_terminal, terminal_size,
};

/// Start containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Start {
    /// Attach to its output and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach to its standard input too
    #[arg(short, long)]
    interactive: bool,
    /// Keys that leave it; ctrl-p,ctrl-q unless configured
    #[arg(long, value_name = "KEYS", value_parser = detach_keys, allow_hyphen_values = true)]
    detach_keys: Option<DetachKeys>,
    /// Pass signals on to it, where there is no terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", action = ArgAction::Set,
          hide_possible_values = true, hide_default_value = true)]
    sig_proxy: bool,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Start {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        if self.attach || self.interactive {
            return match self.containers.as_slice() {
                [one] => self.attached(context, one),
                _ => Err(Failure::usage(
                    "-a and -i attach to one container; start the others without them",
                )),
            };
        }
        context.for_each(&self.containers, |context, reference, id| {
            // As Docker: what runs already is started, and what is paused cannot be.
            let status = context.engine.inspect(id)?.status;
            if !status.is_live() || status == Status::Paused {
                let started = context.engine.start(id, &StartAttach::default())?;
                context.warn_all(&started.warnings);
            }
            context.out.line(reference)
        })
    }

    fn attached(&self, context: &mut Context, reference: &str) -> Outcome {
        let id: ContainerId = context.engine.resolve(reference)?;
        let container = context.engine.inspect(&id)?;
        let options = container.create.options;
        let stdin = self.interactive && options.open_stdin;
        check_terminal(stdin, options.terminal)?;
        let policy = SignalPolicy::of(self.sig_proxy, options.terminal);
        let detach_keys = attached_keys(self.detach_keys.as_ref(), options.terminal)?;
        let mut signals = Signals::take(policy, options.terminal)?;
        let joins = container.status.is_live();
        let mut session = if joins {
            context.engine.attach(&id, stdin)?
        } else {
            let wanted = StartAttach {
                output: true,
                stdin,
                size: terminal_size(),
                client_handles_exit: false,
            };
            let started = context.engine.start(&id, &wanted)?;
            context.warn_all(&started.warnings);
            started.session
        };
        let attachment = Attachment {
            engine: &context.engine,
            id: &id,
            stdin,
            output: Shown::ALL,
            joins,
            raw: stdin && options.terminal,
            detach_keys,
            first_process: true,
        };
        Ok(attach(&attachment, &mut session, &mut signals)?.exit_code())
    }
}
