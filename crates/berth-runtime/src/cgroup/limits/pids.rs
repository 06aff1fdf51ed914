//! Number of tasks: `pids.max`, the same on v1 and v2.

use oci_spec::runtime::LinuxPids;

use super::{Plan, Setting, in_range};
use crate::cgroup::CgroupError;
use crate::cgroup::controller::Controller::Pids;

const NAME: &str = "process limit";
/// PID_MAX_LIMIT of 64-bit kernels; pids.max takes no number above it.
const MOST: i64 = 4_194_304;

pub(super) fn plan(pids: &LinuxPids, plan: &mut Plan<'_>) -> Result<(), CgroupError> {
    let limit = pids.limit();
    if limit == 0 {
        // Unset, for Docker and runc.
        return Ok(());
    }
    if limit < 0 {
        // No limit: what a new cgroup has, so a host without the controller gives the same.
        if (plan.locate)(Pids).is_some() {
            plan.push(Setting::new(Pids, NAME, "pids.max", "max").if_missing(None));
        }
        return Ok(());
    }
    plan.version(Pids, NAME)?;
    let limit = in_range(NAME, limit, 1, MOST, "")?;
    plan.push(Setting::new(Pids, NAME, "pids.max", limit));
    Ok(())
}
