//! Freezing and thawing everything in a container's cgroups.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::branch::Branch;
use super::error::CgroupError;
use super::{Cgroup, files};

/// How long a freeze may take.
const FREEZE_PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks at a freezing cgroup.
const FREEZE_PAUSE: Duration = Duration::from_millis(1);

impl Cgroup {
    /// Whether the container is frozen, by us or by a cgroup above, or about to be. `false` when
    /// its cgroup is gone and where there is none.
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        for branch in self.v2.iter().chain(self.v1_branch("freezer")) {
            if is_frozen(branch)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stops every process of the container; waits until all have, two seconds at most.
    ///
    /// Uses v2's cgroup.freeze where there is a v2 directory, on hybrid hosts too, since what it
    /// holds can still be killed; else v1's freezer.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        self.freeze_until(Instant::now() + FREEZE_PATIENCE)
    }

    /// Lets the processes go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        match (&self.v2, self.v1_branch("freezer")) {
            (Some(branch), _) => write_unless_gone(branch, "cgroup.freeze", "0"),
            (None, Some(branch)) => write_unless_gone(branch, "freezer.state", "THAWED"),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn freeze_until(&self, deadline: Instant) -> Result<(), CgroupError> {
        let began = Instant::now();
        loop {
            let (branch, state) = match (&self.v2, self.v1_branch("freezer")) {
                (Some(branch), _) => (branch, freeze_v2(branch)?),
                (None, Some(branch)) => (branch, freeze_v1(branch)?),
                (None, None) => return Err(CgroupError::NoCgroup { verb: "freeze" }),
            };
            let Some(state) = state else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(CgroupError::NotFrozen {
                    path: branch.path.clone(),
                    state,
                    waited_ms: began.elapsed().as_millis(),
                });
            }
            std::thread::sleep(FREEZE_PAUSE);
        }
    }
}

/// Whether a v2 directory, or one of the v1 freezer, is frozen or being frozen; other v1
/// directories never are.
pub(super) fn is_frozen(branch: &Branch) -> Result<bool, CgroupError> {
    if branch.has("freezer") {
        let state = branch.read_if_present("freezer.state")?;
        return Ok(state.is_some_and(|state| state.trim() != "THAWED"));
    }
    if !branch.controllers.is_empty() {
        return Ok(false);
    }
    // The root has neither file.
    let events = branch.read_if_present("cgroup.events")?;
    let asked = branch.read_if_present("cgroup.freeze")?;
    Ok(
        events.is_some_and(|events| files::flat_value(&events, "frozen") == Some(1))
            || asked.is_some_and(|asked| asked.trim() == "1"),
    )
}

/// One step of freezing on v2: `None` once frozen or gone, else what cgroup.events says.
fn freeze_v2(branch: &Branch) -> Result<Option<String>, CgroupError> {
    write_unless_gone(branch, "cgroup.freeze", "1")?;
    let Some(events) = branch.read_if_present("cgroup.events")? else {
        return Ok(None);
    };
    let frozen = files::flat_value(&events, "frozen") == Some(1);
    Ok(if frozen {
        None
    } else {
        Some("not frozen".to_owned())
    })
}

/// One step of freezing on v1. A cgroup in which processes fork may stay FREEZING until the word
/// is written again.
fn freeze_v1(branch: &Branch) -> Result<Option<String>, CgroupError> {
    write_unless_gone(branch, "freezer.state", "FROZEN")?;
    let Some(state) = branch.read_if_present("freezer.state")? else {
        return Ok(None);
    };
    let state = state.trim();
    Ok(if state == "FROZEN" {
        None
    } else {
        Some(state.to_owned())
    })
}

fn write_unless_gone(branch: &Branch, file: &str, value: &str) -> Result<(), CgroupError> {
    match branch
        .dir()
        .and_then(|dir| files::write_at(dir, file, value))
    {
        Ok(()) | Err(Errno::NOENT | Errno::NODEV) => Ok(()),
        Err(errno) => Err(files::access("write", &branch.path, file)(errno)),
    }
}
