//! `update`: other limits for a running container.

use oci_spec::runtime::LinuxResources;

use super::container::Container;
use super::state::Status;
use super::{Outcome, cannot, fail};
use crate::cgroup::Hierarchies;
use berth_base::ErrorClass;

/// Changes what is given; absent values stay. systemd is told first, so that it does not undo
/// what we then write.
pub(crate) fn update(container: &Container, resources: &LinuxResources) -> Outcome {
    if container.status() == Status::Stopped {
        return Err(fail(
            ErrorClass::Conflict,
            "container not running: cannot update a container that has stopped",
        ));
    }
    let failed = |e: crate::cgroup::CgroupError| fail(e.class(), e.to_string());
    if let Some(scope) = &container.state.scope {
        let read = |file: &str| {
            // by path: procfs
            std::fs::read_to_string(file).map_err(|e| cannot(&format!("read {file}"), e))
        };
        let hierarchies =
            Hierarchies::discover(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        scope.update(&hierarchies, resources).map_err(failed)?;
    }
    container.cgroup().update(resources).map_err(failed)
}
