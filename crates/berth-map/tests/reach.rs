//! What a procfs does not show is said: hidden processes, and another PID namespace's procfs.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/real.rs"]
mod real;

use std::os::fd::OwnedFd;

use berth_map::model::{Wanted, World};
use berth_map::{EngineRoots, ProcRoot, Sources};
use real::{Own, eventually, is_root, own_pid, skip, unprivileged};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

fn read(proc: ProcRoot) -> World {
    let sources = Sources {
        proc,
        state_dir: None,
        roots: EngineRoots::default(),
    };
    World::discover_with(&sources, &Wanted::everything()).unwrap()
}

fn says(world: &World, text: &str) -> bool {
    world.warnings().iter().any(|line| line.contains(text))
}

/// A procfs of our PID namespace, mounted nowhere, that hides the processes of others.
fn hiding_procfs(mode: &str) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "hidepid", mode)?;
    rustix::mount::fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

#[test]
fn hidden_processes_are_said_to_be_missing() {
    if !is_root() {
        return;
    }
    let child = Own::start("sleep", &["300"]);
    child.until("sleep");
    for (mode, words) in [
        ("2", "hides the processes of other users (hidepid, proc(5))"),
        ("1", "processes are left out, since"),
    ] {
        let proc = match hiding_procfs(mode) {
            Ok(proc) => proc,
            Err(error) => return skip(&format!("no procfs of our own can be made: {error}")),
        };
        let root = read(ProcRoot::from_fd(proc.try_clone().unwrap()));
        assert!(root.process(child.pid()).is_some());
        assert!(!says(&root, words), "{:?}", root.warnings());
        let poor = unprivileged(move || read(ProcRoot::from_fd(proc)));
        assert!(says(&poor, words), "{:?}", poor.warnings());
        assert!(poor.process(child.pid()).is_none());
    }
}

#[test]
fn a_procfs_of_another_pid_namespace_is_said_to_be_one() {
    if !is_root() {
        return;
    }
    let arguments = [
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sleep",
        "300",
    ];
    let outer = Own::start("unshare", &arguments);
    let children = format!("/proc/{0}/task/{0}/children", outer.pid());
    let mut inner = String::new();
    eventually(|| {
        inner = std::fs::read_to_string(&children)
            .unwrap()
            .trim()
            .to_owned();
        let comm = std::fs::read_to_string(format!("/proc/{inner}/comm"));
        comm.is_ok_and(|comm| comm == "sleep\n")
    });
    let world = read(ProcRoot::open(format!("/proc/{inner}/root/proc")).unwrap());
    assert_eq!(world.processes().len(), 1);
    assert!(
        says(&world, "in which we have no PID"),
        "{:?}",
        world.warnings()
    );
    assert!(
        says(&world, "the map begins at pid:["),
        "{:?}",
        world.warnings()
    );
    // The host's own says nothing of the kind.
    let world = read(ProcRoot::open("/proc").unwrap());
    assert!(world.process(own_pid()).is_some());
    assert!(!says(&world, "belongs to"), "{:?}", world.warnings());
}
