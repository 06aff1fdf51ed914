//! What crashed use-cases left half made or half removed.

use std::path::Path;

use berth_base::{ContainerId, ContainerName};
use berth_persist::{At, Op, perform, sweep_temporaries};

use crate::process::Process;
use crate::quota;

use super::names::clear_folder;
use super::{NamesLock, Store, StoreError, entries, lock, remove_tree};

impl Store {
    /// Whether a loss of power left nothing but the names of the files that make a container.
    pub(crate) fn is_hollow(&self, id: &ContainerId) -> bool {
        let dir = self.persistent_dir(id);
        ["create.json", "settings.json"]
            .iter()
            .any(|name| std::fs::metadata(dir.join(name)).is_ok_and(|file| file.len() == 0))
    }

    /// Whether a container runs by its volatile folder alone. One that cannot be read otherwise has then
    /// lost nothing to a loss of power; one that is not ours is of another root that was given the same
    /// state folder, or somebody took its persistent folder away.
    pub(crate) fn runs(&self, id: &ContainerId) -> bool {
        let run = self.read_run(id).ok().flatten();
        run.is_some_and(|run| Process::open(&run.init).is_some())
    }

    /// Removes what crashed use-cases left: folders out of sight, volatile folders without a
    /// container, names without a container, temporary files. The names lock keeps whoever is making
    /// a container from being taken for one that crashed.
    pub(crate) fn sweep(&self, _names: &NamesLock) -> Vec<StoreError> {
        let mut errors = Vec::new();
        for parent in [self.containers(), self.volatile_containers()] {
            for (name, path) in entries(&parent) {
                let stale = match name.parse::<ContainerId>() {
                    Ok(id) => !self.exists(&id) && !self.runs(&id),
                    Err(_) => {
                        name.starts_with(".removing-")
                            || (name.starts_with(".tmp-") && !lock::is_locked(&path))
                    }
                };
                if stale {
                    quota::release(&path);
                    errors.extend(remove_tree("container.sweep.tree", &path).err());
                } else {
                    errors.extend(sweep_files(&path).err());
                    for below in ["exits", "etc"] {
                        errors.extend(sweep_files(&path.join(below)).err());
                    }
                }
            }
        }
        for (name, path) in entries(&self.root.join("names")) {
            let free = match name.parse::<ContainerName>() {
                Ok(name) => matches!(self.holder(&name), Ok(None)),
                Err(_) => true,
            };
            if !free {
                continue;
            }
            errors.extend(clear_folder(&path).err());
            match perform("container.sweep.name", Op::Unlink(At::path(&path))) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    errors.push(StoreError::io("remove", &path, e));
                }
                _ => {}
            }
        }
        errors.extend(sweep_files(self.state()).err());
        errors
    }
}

fn sweep_files(dir: &Path) -> Result<(), StoreError> {
    sweep_temporaries("container.sweep.file", dir)
        .map(drop)
        .map_err(|e| StoreError::io("remove temporary files in", dir, e))
}
