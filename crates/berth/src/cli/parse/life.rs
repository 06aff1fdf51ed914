//! Restart policies, and what goes with health checks.

use berth_engine::{HealthAction, RestartPolicy};

use super::Rejected;

/// `no`, `on-failure[:NUMBER]`, `always`, `unless-stopped`.
pub(crate) fn restart_policy(text: &str) -> Result<RestartPolicy, Rejected> {
    text.parse()
        .map_err(|error: berth_base::state::InvalidRestartPolicy| Rejected::new(error.to_string()))
}

/// `none`, `kill`, `stop`, `restart`.
pub(crate) fn health_action(text: &str) -> Result<HealthAction, Rejected> {
    match text {
        "none" => Ok(HealthAction::None),
        "kill" => Ok(HealthAction::Kill),
        "stop" => Ok(HealthAction::Stop),
        "restart" => Ok(HealthAction::Restart),
        _ => Err(Rejected::new("give none, kill, stop or restart")),
    }
}

/// How many failures.
pub(crate) fn retries(text: &str) -> Result<u32, Rejected> {
    text.parse()
        .map_err(|_| Rejected::new("give a whole number of failures from 0 up; 0 is the default"))
}
