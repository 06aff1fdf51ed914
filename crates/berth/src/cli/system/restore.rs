//! `berth system restore`.

use berth_engine::Restored;
use clap::Args;

use super::super::failure::{EXIT_FAILURE, Failure};
use super::super::{Context, Outcome};

/// Put everything in order after a crash or a boot: what is half made or half removed goes, runs that
/// ended unseen get a record. Then start what is wanted: containers with --restart always, or
/// unless-stopped where no user stopped them, and those that were being restarted.
///
/// Putting in order is done by itself once per boot, starting is not. Can be run at any time and
/// twice; what runs is left alone.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Restore {
    /// Put in order alone, start nothing
    #[arg(long)]
    no_start: bool,
}

impl Restore {
    pub(in super::super) fn execute(&self, context: &mut Context) -> Outcome {
        let restored = match self.no_start {
            true => Restored {
                recovered: context.engine.recover()?,
                ..Restored::default()
            },
            false => context.engine.restore()?,
        };
        for (what, containers) in [
            ("settled", &restored.recovered.settled),
            ("removed", &restored.recovered.removed),
            ("started", &restored.started),
        ] {
            for id in containers {
                context.out.line(&format!("{what} container {id}"))?;
            }
        }
        let errors = restored.recovered.errors.into_iter().chain(restored.errors);
        context.out.flush()?;
        let mut code = 0;
        for error in errors {
            code = EXIT_FAILURE;
            context.console.fail(&Failure::from(error));
        }
        Ok(code)
    }
}
