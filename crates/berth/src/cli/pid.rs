//! `berth pid`: one PID at every level.

use berth_base::ErrorClass;
use berth_map::discover::{DiscoverError, Sources};
use berth_map::json::PidDocument;
use berth_map::lookup::{Found, LookupError, find, seen_from};
use berth_map::translate::{PidError, PidSpec};
use clap::Args;

use super::failure::Failure;
use super::{Context, Outcome};
use crate::view::json;

/// Translate a PID between the host and containers.
#[derive(Args, Debug)]
#[command(args_override_self = true)]
#[command(after_help = "\
  berth pid web:7          the host PID of PID 7 in container web
  berth pid web            the host PID of its first process
  berth pid 31995          container and PID inside, of a host PID
  berth pid --in web 31995 the PID that container web sees it as")]
pub(crate) struct Pid {
    /// The PID as this container sees it
    #[arg(long = "in", value_name = "CONTAINER")]
    inside: Option<String>,
    /// Every level: namespace, PID, container
    #[arg(long, conflicts_with = "inside")]
    json: bool,
    /// CONTAINER:PID, a host PID, or CONTAINER for its first process
    #[arg(value_name = "PID")]
    process: String,
}

impl Pid {
    pub(super) fn execute(&self, context: &mut Context) -> Outcome {
        let spec = self.spec(context)?;
        if let PidSpec::Inside { container, .. } = &spec {
            check_runs(context, container)?;
        }
        if let Some(container) = &self.inside {
            check_runs(context, container)?;
        }
        let sources = sources(context)?;
        let found = find(&sources, &spec)?;
        let text = match &self.inside {
            Some(container) => seen_from(&sources, &found, container)?.to_string(),
            None if self.json => document(&found)?,
            None => match spec {
                PidSpec::Host(_) if !self.names_container() => found
                    .resolution()
                    .map_err(LookupError::from)?
                    .answer
                    .to_string(),
                _ => found.pid.to_string(),
            },
        };
        context.out.line(&text)?;
        Ok(0)
    }

    /// Whether the question is about a container's process: its answer is a host PID.
    fn names_container(&self) -> bool {
        let digits = self.process.bytes().all(|byte| byte.is_ascii_digit());
        !digits && !self.process.starts_with("host:")
    }

    /// What is asked for. A container's name alone means its first process.
    fn spec(&self, context: &Context) -> Result<PidSpec, Failure> {
        let not_a_pid = match self.process.parse::<PidSpec>() {
            Ok(spec) => return Ok(spec),
            Err(error) => error,
        };
        if self.process.contains(':') || !matches!(not_a_pid, PidError::NotAPid { .. }) {
            return Err(LookupError::from(not_a_pid).into());
        }
        let id = match context.engine.resolve(&self.process) {
            Ok(id) => id,
            Err(error) if error.class == ErrorClass::NotFound => {
                return Err(LookupError::from(not_a_pid).into());
            }
            Err(error) => return Err(error.into()),
        };
        let container = context.engine.inspect(&id)?;
        match &container.live {
            Some(live) => Ok(PidSpec::Host(live.init.pid)),
            None => Err(not_running(container.name.as_str())),
        }
    }
}

fn document(found: &Found) -> Result<String, Failure> {
    let resolution = found.resolution().map_err(LookupError::from)?;
    Ok(json::pretty(&PidDocument::new(&found.world, &resolution)))
}

/// Refuses a container of ours that does not run. What is none of ours may be another engine's:
/// the map knows.
pub(super) fn check_runs(context: &Context, reference: &str) -> Result<(), Failure> {
    let id = match context.engine.resolve(reference) {
        Ok(id) => id,
        Err(error) if error.class == ErrorClass::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let container = context.engine.inspect(&id)?;
    match container.status.is_live() {
        true => Ok(()),
        false => Err(not_running(container.name.as_str())),
    }
}

/// A container has no processes.
fn not_running(name: &str) -> Failure {
    Failure::new(
        ErrorClass::Conflict,
        format!("container {name} is not running; start it with \"berth start {name}\""),
    )
    .on(name)
}

/// The host's procfs and this engine's containers.
pub(super) fn sources(context: &Context) -> Result<Sources, Failure> {
    Ok(Sources::host(context.engine.state_dir())?)
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

impl From<DiscoverError> for Failure {
    fn from(error: DiscoverError) -> Self {
        Self::new(error.class(), error.to_string())
    }
}
