//! `berth update`.

use berth_engine::RestartPolicy;
use clap::Args;

use super::failure::Failure;
use super::flags::ResourceFlags;
use super::parse::life::restart_policy;
use super::{Context, Outcome};

/// Change the limits of containers, running or not.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
pub(crate) struct Update {
    #[command(flatten)]
    resources: ResourceFlags,
    /// When they are started again by themselves: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = restart_policy)]
    restart: Option<RestartPolicy>,
    /// Containers, by name, id or unique beginning of an id
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Update {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let change = self.resources.resources();
        if change.is_empty() && self.restart.is_none() {
            return Err(Failure::usage(
                "nothing to change; give a limit, as in \"berth update --memory 1g web\"",
            ));
        }
        context.for_each(&self.containers, |context, reference, id| {
            let updated = context.engine.update(id, &change, self.restart)?;
            context.warn_all(&updated.warnings);
            context.out.line(reference)?;
            context.out.flush()
        })
    }
}
