//! Removing a container's cgroups, with whatever sub-cgroups it made.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::Cgroup;
use super::branch::Branch;
use super::error::{CgroupError, RemoveFailure};
use super::files;
use super::processes::pids_below;
use super::walk::{Visit, walk};

/// How long EBUSY is answered by trying again: the last process may just be leaving.
const PATIENCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Cgroup {
    /// Removes the container's directory in every hierarchy, sub-cgroups first.
    ///
    /// What is gone already is no error, so it can be called again. A directory that is busy is
    /// tried again for a second in all; then the others still are removed and the error lists
    /// what is left and which processes hold it. Shared parents stay.
    pub fn remove(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        let failures: Vec<RemoveFailure> = self
            .branches()
            .filter_map(|branch| {
                remove_branch(&branch.path, deadline)
                    .err()
                    .map(|source| RemoveFailure {
                        path: branch.path.clone(),
                        source,
                        processes: survivors(branch),
                    })
            })
            .collect();
        if failures.is_empty() {
            Ok(())
        } else {
            Err(CgroupError::Remove { failures })
        }
    }
}

impl Cgroup {
    /// Removes the directories if nothing is in them, neither processes nor sub-cgroups, and says
    /// whether they are gone. The first that is busy ends it: whoever is inside can still be ended
    /// through all of them, since the v2 hierarchy is tried first and the freezer's next.
    pub(crate) fn remove_empty(&self) -> bool {
        let after_freezer = |branch: &&Branch| !branch.has("freezer");
        let mut v1: Vec<&Branch> = self.v1.iter().collect();
        v1.sort_by_key(after_freezer);
        let mut branches = self.v2.iter().chain(v1);
        branches.all(|branch| matches!(rustix::fs::rmdir(&branch.path), Ok(()) | Err(Errno::NOENT)))
    }
}

/// The processes still inside, for the message; none where even that cannot be read.
fn survivors(branch: &Branch) -> Vec<u32> {
    pids_below(branch).unwrap_or_default()
}

fn remove_branch(path: &Path, deadline: Instant) -> Result<(), Errno> {
    let mut pause = FIRST_PAUSE;
    loop {
        match rustix::fs::rmdir(path) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::BUSY | Errno::NOTEMPTY) => {}
            Err(errno) => return Err(errno),
        }
        if remove_children(path)? {
            continue;
        }
        if Instant::now() >= deadline {
            return Err(Errno::BUSY);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Removes what is empty below a directory and says whether anything went.
fn remove_children(path: &Path) -> Result<bool, Errno> {
    let dir = match files::open_directory(path) {
        Err(Errno::NOENT) => return Ok(true),
        dir => dir?,
    };
    let mut removed = false;
    let walked = walk(dir.as_fd(), &mut |visit| {
        if let Visit::Leave { parent, name } = visit {
            match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) => removed = true,
                Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY | Errno::NODEV) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    });
    match walked {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(removed),
        Err(errno) => Err(errno),
    }
}
