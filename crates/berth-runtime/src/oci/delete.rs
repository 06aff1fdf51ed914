//! `delete`: removes what `create` made. Goes on past failures, and can be run twice.

use std::time::Instant;

use berth_base::{ErrorClass, HostPid};

use super::container::{Container, Init};
use super::hooks::{self, Point};
use super::state::Status;
use super::{Outcome, fail, kill};
use crate::Survivor;
use crate::cgroup::Cgroup;

/// Whether a living container may be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    /// Only a stopped one.
    No,
    /// Any.
    Yes,
}

/// Deletes a container; warnings come back.
pub(crate) fn delete(container: &Container, force: Force) -> Outcome<Vec<String>> {
    let status = container.status();
    // Unlike runc's: runtime-spec, runtime.md, "Delete". Shims kill first, or use force.
    let may = status == Status::Stopped || force == Force::Yes;
    if !may {
        return Err(fail(
            ErrorClass::Conflict,
            format!(
                "cannot delete container {} that is not stopped: {}; use --force to end it",
                container.id,
                status.as_str()
            ),
        ));
    }
    let deadline = Instant::now() + kill::PATIENCE;
    let init = container.init();
    let cgroup = container.cgroup();
    if let Some(init) = &init
        && !kill::end(container, init, deadline)?
    {
        return Err(fail(
            ErrorClass::Unavailable,
            format!(
                "container {} did not end within {} s of SIGKILL; left are: {}; a zombie goes when its parent or tracer reaps it, a process in state D when its I/O ends; then try again",
                container.id,
                kill::PATIENCE.as_secs(),
                survivors(container, init).join("; ")
            ),
        ));
    }
    let failed = |e: crate::cgroup::CgroupError| fail(e.class(), e.to_string());
    if cgroup.is_nowhere() {
        // A creator that died may have made them. Its init, if it got that far, ends with it; whoever
        // else is inside is not ours to end.
        let intended = Cgroup::from_paths(&container.state.intended);
        intended.wait_empty(deadline).map_err(failed)?;
        intended.remove().map_err(failed)?;
    } else {
        if !cgroup.remove_empty() {
            cgroup.end(deadline).map_err(failed)?;
            cgroup.remove().map_err(failed)?;
        }
        // Without cgroups the scope was never started, and a unit of its name is another's.
        if let Some(scope) = &container.state.scope {
            scope.stop().map_err(failed)?;
        }
    }
    if let Some(group) = &container.state.resctrl {
        group.remove().map_err(|e| fail(e.class(), e.to_string()))?;
    }
    let warnings = match container.spec() {
        Ok(spec) => {
            let state = &container.state;
            let failures = hooks::run_all(spec, Point::Poststop, state, Status::Stopped);
            failures.into_iter().map(|f| f.message).collect()
        }
        Err(failure) => vec![failure.message],
    };
    container.folder.remove()?;
    Ok(warnings)
}

/// Who is left of a container whose first process does not end: with a PID namespace of its own
/// the first process waits for everybody in it (zap_pid_ns_processes), zombies included.
fn survivors(container: &Container, init: &Init) -> Vec<String> {
    let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let first = init.pid.as_raw_nonzero().to_string();
    let namespace = of(&first).filter(|_| container.state.own_pid_namespace);
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|pid| *pid == first || namespace.is_some() && of(pid) == namespace)
        .filter_map(|pid| Survivor::look(HostPid::new(pid.parse().ok()?)?))
        .map(|survivor| survivor.to_string())
        .collect()
}
