//! The cgroups of a container, also of one whose run.json was never written.

use std::path::Path;

use berth_base::ErrorClass;
use berth_base::state::{CgroupPaths, RunFile};
use berth_runtime::cgroup::{Cgroup, CgroupError, Hierarchies, Usage};

use rustix::fs::{Access, access};

use crate::{Container, ContainerId, Engine, EngineError};

impl Engine {
    /// What a running container uses.
    pub fn usage(&self, id: &ContainerId) -> Result<Usage, EngineError> {
        let container = self.inspect(id)?;
        let Some(live) = &container.live else {
            return Err(crate::not_running(&container));
        };
        Cgroup::from_paths(&live.cgroups)
            .usage()
            .map_err(|e| on_cgroup(&container, e))
    }
}

impl Container {
    /// Whether the kernel's OOM killer ended a process of the present run, or of the last one.
    /// Asks the kernel where the container lives.
    pub fn oom_killed(&self) -> bool {
        match (&self.exit, &self.live) {
            (Some(exit), _) => exit.oom_killed,
            (None, Some(live)) => of_run(live).oom_kills().is_ok_and(|kills| kills > 0),
            (None, None) => false,
        }
    }
}

/// The cgroups of a run.
pub(crate) fn of_run(run: &RunFile) -> Cgroup {
    Cgroup::from_paths(&run.cgroups)
}

/// Where a container's cgroups are, by its spec and what this host has mounted.
pub(crate) fn of_container(container: &Container) -> Cgroup {
    let paths = match &container.create.cgroups_path {
        Some(path) => locate(path),
        None => CgroupPaths::default(),
    };
    Cgroup::from_paths(&paths)
}

/// The cgroups at a path of the spec's kind.
pub(crate) fn at_path(path: &str) -> Cgroup {
    Cgroup::from_paths(&locate(path))
}

/// Where a caller without root may have cgroups in the v2 hierarchy: the nearest above its own that
/// is its user's and holds no process, since one that does can pass on no controller
/// (cgroup-v2.rst, "No Internal Process Constraint"); else its own, where at least no limit is
/// needed.
pub(crate) fn delegated_parent() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    // The line with hierarchy 0 (cgroups(7)).
    let own = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = hierarchies().v2?.mount;
    let is_ours = |dir: &Path| {
        [".", "cgroup.procs", "cgroup.subtree_control"]
            .iter()
            .all(|file| access(dir.join(file), Access::WRITE_OK).is_ok())
    };
    let is_empty = |dir: &Path| {
        std::fs::read_to_string(dir.join("cgroup.procs")).is_ok_and(|list| list.is_empty())
    };
    let parent = Path::new(own)
        .ancestors()
        .filter_map(|path| path.to_str())
        .map(|path| (path, mount.join(path.trim_start_matches('/'))))
        .take_while(|(_, dir)| is_ours(dir))
        .find(|(_, dir)| is_empty(dir));
    Some(parent.map_or(own, |(path, _)| path).to_owned())
}

/// What this host has mounted.
pub(crate) fn hierarchies() -> Hierarchies {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    Hierarchies::discover(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn locate(path: &str) -> CgroupPaths {
    let hierarchies = hierarchies();
    let below = path.trim_start_matches('/');
    let join = |mount: &std::path::Path| mount.join(below).display().to_string();
    CgroupPaths {
        v2: hierarchies.v2.as_ref().map(|h| join(&h.mount)),
        v1: hierarchies
            .v1
            .iter()
            .flat_map(|h| {
                h.controllers
                    .iter()
                    .map(|name| (name.clone(), join(&h.mount)))
            })
            .collect(),
    }
}

/// Kills what is left in a container's cgroups and removes them; nothing there is fine.
pub(crate) fn end_leftovers(container: &Container) -> Result<(), EngineError> {
    let cgroup = of_container(container);
    if cgroup.is_nowhere() {
        return Ok(());
    }
    if cgroup.is_populated().map_err(|e| on_cgroup(container, e))? {
        cgroup.kill().map_err(|e| on_cgroup(container, e))?;
    }
    cgroup.remove().map_err(|e| on_cgroup(container, e))
}

pub(crate) fn on_cgroup(container: &Container, error: CgroupError) -> EngineError {
    let class = match error.class() {
        ErrorClass::NotFound => ErrorClass::Internal,
        class => class,
    };
    EngineError::new(class, format!("container {}: {error}", container.name))
        .on(container.name.as_str())
}
