//! The mark of a stop by hand where `status.json` cannot be written, since there is no room.
//!
//! It is a further name of that file, `stopped-N` for run N, and so needs a place in the folder and
//! nothing else. It holds for its run alone, and until `status.json` is written again, which then says
//! the same.

use std::io;
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_persist::{At, Op, perform};

use super::{ContainerLock, Store, StoreError, file};

fn mark(dir: &Path, run: u32) -> PathBuf {
    dir.join(format!("stopped-{run}"))
}

impl Store {
    /// Notes that a user stops a run.
    pub(crate) fn mark_stopped(&self, lock: &ContainerLock, run: u32) -> Result<(), StoreError> {
        let dir = self.persistent_dir(lock.id());
        let (from, to) = (dir.join("status.json"), mark(&dir, run));
        let link = Op::Link {
            from: At::path(&from),
            to: At::path(&to),
        };
        match perform("container.stopped.mark", link) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(StoreError::io("make", &to, e))
            }
            _ => file::sync_dir("container.stopped.sync", &dir),
        }
    }

    /// Whether a run has such a mark.
    pub(crate) fn is_marked_stopped(&self, id: &ContainerId, run: u32) -> bool {
        mark(&self.persistent_dir(id), run).exists()
    }

    /// Takes the mark of a run away, once `status.json` says what it said.
    pub(crate) fn unmark_stopped(&self, lock: &ContainerLock, run: u32) -> Result<(), StoreError> {
        if !self.is_marked_stopped(lock.id(), run) {
            return Ok(());
        }
        let path = mark(&self.persistent_dir(lock.id()), run);
        perform("container.stopped.unmark", Op::Unlink(At::path(&path)))
            .map_err(|e| StoreError::io("remove", &path, e))
    }
}
