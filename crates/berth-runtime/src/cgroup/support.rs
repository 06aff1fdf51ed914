//! Which hints a host takes: settings that bound nothing, so that a container is as safe without.

use std::path::Path;

use super::Controller;
use super::hierarchies::{Hierarchies, Hierarchy};

/// What this host can do beyond limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintSupport {
    /// How eagerly a container is swapped out.
    pub swappiness: bool,
    /// To let a container wait for memory instead of killing in it.
    pub oom_kill_disable: bool,
    /// Shares of the time of block devices.
    pub block_weight: bool,
}

impl Hierarchies {
    /// Looks at what a cgroup of this host has. Where there is no cgroup to look at it is taken
    /// for granted, and the first write tells.
    pub fn hints(&self) -> HintSupport {
        let memory = self.of(Controller::Memory);
        let block = self.of(Controller::BlockIo);
        HintSupport {
            swappiness: memory.is_some_and(|h| has(h, &["memory.swappiness"])),
            oom_kill_disable: memory.is_some_and(|h| has(h, &["memory.oom_control"])),
            block_weight: match (block, &self.v2) {
                (Some(v1), _) => has(v1, &["blkio.bfq.weight", "blkio.weight"]),
                (None, Some(v2)) => has(v2, &["io.bfq.weight", "io.weight"]),
                (None, None) => true,
            },
        }
    }

    fn of(&self, controller: Controller) -> Option<&Hierarchy> {
        let name = controller.v1_name();
        self.v1
            .iter()
            .find(|hierarchy| hierarchy.controllers.iter().any(|c| c == name))
    }
}

/// Whether one of the files is in a cgroup of the hierarchy: the root itself lacks some.
fn has(hierarchy: &Hierarchy, files: &[&str]) -> bool {
    let any = |dir: &Path| files.iter().any(|file| dir.join(file).exists());
    if any(&hierarchy.mount) {
        return true;
    }
    let mut seen = false;
    for entry in std::fs::read_dir(&hierarchy.mount).into_iter().flatten() {
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if any(&entry.path()) {
            return true;
        }
        seen = true;
    }
    !seen
}
