//! `berth system restore`.

use clap::Args;

use super::super::failure::{EXIT_FAILURE, Failure};
use super::super::{Context, Outcome};

/// Put everything in order after a crash: what is half made or half removed goes, runs that ended
/// unseen get a record.
///
/// Done by itself once per boot. Can be run at any time and twice; what runs is left alone.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Restore {}

impl Restore {
    pub(in super::super) fn execute(&self, context: &mut Context) -> Outcome {
        let recovered = context.engine.recover()?;
        for (what, containers) in [
            ("settled", &recovered.settled),
            ("removed", &recovered.removed),
        ] {
            for id in containers {
                context.out.line(&format!("{what} container {id}"))?;
            }
        }
        if recovered.errors.is_empty() {
            return Ok(0);
        }
        context.out.flush()?;
        for error in recovered.errors {
            context.console.fail(&Failure::from(error));
        }
        Ok(EXIT_FAILURE)
    }
}
