//! Against the real kernel, as root, in cgroups of the test's own that it removes.

mod create;
mod join;
mod kill;
mod measure;

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::processes::pids_below;
use super::*;

/// A place of this test's own; everything below it is removed when it is dropped.
pub(super) struct Place {
    pub(super) hierarchies: Hierarchies,
    pub(super) parent: String,
}

impl Place {
    /// `None`, with the reason printed, where the caller may not make cgroups.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let hierarchies = Hierarchies::discover(&mountinfo, &own);
        let parent = format!("/berth-test-{}-{name}", std::process::id());
        if !rustix::process::geteuid().is_root() || hierarchies == Hierarchies::default() {
            eprintln!("skipped: needs root and a cgroup hierarchy");
            return None;
        }
        Some(Self {
            hierarchies,
            parent,
        })
    }

    pub(super) fn path(&self, id: &str) -> String {
        format!("{}/berth/{id}", self.parent)
    }

    pub(super) fn create(&self, id: &str) -> Cgroup {
        Cgroup::create(&self.hierarchies, &self.path(id), Access::Required).unwrap()
    }

    /// Ends and removes what a failed test left.
    fn clear(&self) {
        for hierarchy in self.all() {
            let whole = CgroupPaths {
                v2: Some(hierarchy.directory(&self.parent).display().to_string()),
                ..CgroupPaths::default()
            };
            let whole = Cgroup::from_paths(&whole);
            for pid in pids_below(whole.v2.as_ref().unwrap()).unwrap_or_default() {
                let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
            }
            whole.remove().ok();
        }
    }

    fn all(&self) -> impl Iterator<Item = &Hierarchy> {
        self.hierarchies.v1.iter().chain(&self.hierarchies.v2)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.clear();
        }
        for hierarchy in self.all() {
            let top = hierarchy.directory(&self.parent);
            for dir in [top.join("berth/keepers"), top.join("berth"), top] {
                if dir.exists()
                    && let Err(error) = std::fs::remove_dir(&dir)
                {
                    eprintln!("left behind: {}: {error}", dir.display());
                    assert!(std::thread::panicking(), "{} is left", dir.display());
                }
            }
        }
    }
}

/// Starts a shell inside the cgroups; it tells by its first byte that it is there.
pub(super) fn run_in(cgroup: &Cgroup, script: &str) -> Child {
    let mut shell = String::from("set -e; ");
    for branch in cgroup.branches() {
        let file = if branch.controllers.is_empty() {
            "cgroup.procs"
        } else {
            "tasks"
        };
        shell += &format!("echo 0 > {}; ", branch.file(file).display());
    }
    shell += &format!("echo r; {script}");
    let mut child = Command::new("sh")
        .args(["-c", &shell])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    child
}

pub(super) fn end(mut child: Child) -> std::process::ExitStatus {
    child.wait().unwrap()
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}
