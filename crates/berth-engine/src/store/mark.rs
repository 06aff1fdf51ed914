//! The mark of a stop by hand where `status.json` cannot be written: no room, or a disk that became
//! read-only.
//!
//! It is a further name of that file beside it, `stopped-N` for run N, and so needs a place in the
//! folder and nothing else. Where that folder takes nothing at all, it is an empty file of this name in
//! the state folder, which ends with the boot, and the mark with it. It holds for its run alone, and
//! until `status.json` is written again, which then says the same.

use std::io;
use std::path::{Path, PathBuf};

use berth_base::ContainerId;
use berth_persist::{At, Durability, Op, perform};

use super::{ContainerLock, Store, StoreError, file};

/// How long a stop is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    /// Over boots.
    ForGood,
    /// Until the host boots.
    ForThisBoot,
}

fn mark(dir: &Path, run: u32) -> PathBuf {
    dir.join(format!("stopped-{run}"))
}

impl Store {
    /// Notes that a user stops a run.
    pub(crate) fn mark_stopped(
        &self,
        lock: &ContainerLock,
        run: u32,
    ) -> Result<Marked, StoreError> {
        if self.mark_beside_status(lock, run).is_ok() {
            return Ok(Marked::ForGood);
        }
        let (point, name) = ("container.stopped.mark-boot", format!("stopped-{run}"));
        let dir = self.volatile_dir(lock.id());
        berth_persist::replace(point, &dir, &name, b"", Durability::Process)?;
        Ok(Marked::ForThisBoot)
    }

    fn mark_beside_status(&self, lock: &ContainerLock, run: u32) -> Result<(), StoreError> {
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

    /// How long the stop of a run is remembered by such a mark; `None` where it has none.
    pub(crate) fn stopped_mark(&self, id: &ContainerId, run: u32) -> Option<Marked> {
        let has_mark = |dir: &Path| mark(dir, run).exists();
        if has_mark(&self.persistent_dir(id)) {
            return Some(Marked::ForGood);
        }
        has_mark(&self.volatile_dir(id)).then_some(Marked::ForThisBoot)
    }

    /// Takes the marks of a run away, once `status.json` says what they said.
    pub(crate) fn unmark_stopped(&self, lock: &ContainerLock, run: u32) -> Result<(), StoreError> {
        for dir in [self.persistent_dir(lock.id()), self.volatile_dir(lock.id())] {
            let path = mark(&dir, run);
            if path.exists() {
                perform("container.stopped.unmark", Op::Unlink(At::path(&path)))
                    .map_err(|e| StoreError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }
}
