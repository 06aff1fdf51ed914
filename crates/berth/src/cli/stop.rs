//! `berth stop`.

use berth_engine::StopOptions;
use clap::Args;

use super::parse::number::seconds_or_ever;
use super::parse::signal::signal;
use super::{Context, Outcome};

/// How a run is ended, of `stop` and `restart`.
#[derive(Args, Debug)]
pub(super) struct StopFlags {
    /// Seconds until SIGKILL; -1 waits for ever; those of its --stop-timeout, else 10, when absent
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS",
          value_parser = seconds_or_ever, allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// The first signal; that of its --stop-signal or image, else TERM, when absent
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal)]
    signal: Option<i32>,
    /// Go to SIGKILL 200 ms after the signal
    #[arg(long)]
    stop_fast: bool,
}

impl StopFlags {
    pub(super) const fn options(&self) -> StopOptions {
        StopOptions {
            timeout_s: self.timeout,
            signal: self.signal,
            fast: self.stop_fast,
        }
    }
}

/// Stop containers: a signal, a timeout, then SIGKILL.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Stop {
    #[command(flatten)]
    flags: StopFlags,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Stop {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let options = self.flags.options();
        context.for_each(&self.containers, |context, reference, id| {
            let console = context.console;
            let mut notify = |note: &str| console.warn(note);
            context.engine.stop(id, &options, &mut notify)?;
            context.out.line(reference)?;
            context.out.flush()
        })
    }
}
