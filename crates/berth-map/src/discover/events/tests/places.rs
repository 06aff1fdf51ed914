//! Processes that move: to other namespaces and cgroups.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::live::Joined;
use crate::model::NamespaceSet;

/// The last change of namespaces of a process.
fn changed(watch: &Watch, pid: HostPid, joined: Joined) -> NamespaceSet {
    let found = watch
        .of_process(pid)
        .into_iter()
        .rev()
        .find_map(|kind| match kind {
            EventKind::NamespacesChanged { how, namespaces } if *how == joined => Some(*namespaces),
            _ => None,
        });
    found.unwrap_or_else(|| panic!("{:#?}", watch.of_process(pid)))
}

/// By functions where they can be attached to, and by tracepoints.
fn both() -> impl Iterator<Item = Watch> {
    [Watch::bpf(), Watch::bpf_older()].into_iter().flatten()
}

#[test]
fn new_namespaces_and_joined_ones_are_told() {
    for mut watch in both() {
        let mut outer = Command::new("unshare");
        let outer = Victim::spawn(outer.args(["--uts", "--net", "sleep", "300"]));
        let pid = pid_of(&outer.0);
        watch.until("two programs", |events| {
            let executed =
                |e: &&Event| e.pid == pid && matches!(e.kind, EventKind::Executed { .. });
            events.iter().filter(executed).count() == 2
        });
        let found = changed(&watch, pid, Joined::Unshare);
        assert_eq!(found.iter().count(), NamespaceKind::ALL.len());
        for kind in NamespaceKind::ALL {
            assert_eq!(found.of(kind), Some(namespace_of(pid, kind)));
        }
        let own_uts = namespace_of(own_pid(), NamespaceKind::Uts);
        assert_ne!(found.of(NamespaceKind::Uts), Some(own_uts));

        let target = pid.to_string();
        let mut visitor = Command::new("nsenter");
        let mut visitor = visitor
            .args(["--target", &target, "--uts", "true"])
            .spawn()
            .unwrap();
        visitor.wait().unwrap();
        watch.until_end(pid_of(&visitor));
        let joined = changed(&watch, pid_of(&visitor), Joined::Setns);
        let (uts, net) = (NamespaceKind::Uts, NamespaceKind::Net);
        assert_eq!(joined.of(uts), found.of(uts));
        assert_eq!(joined.of(net), Some(namespace_of(own_pid(), net)));
    }
}

#[test]
fn a_call_that_fails_is_not_told() {
    for mut watch in both() {
        // Not a namespace.
        let mut visitor = Command::new("nsenter");
        let mut visitor = visitor
            .args(["--uts=/proc/self/stat", "true"])
            .spawn()
            .unwrap();
        assert!(!visitor.wait().unwrap().success());
        watch.until_end(pid_of(&visitor));
        let change = |kind: &&&EventKind| matches!(kind, EventKind::NamespacesChanged { .. });
        let seen = watch.of_process(pid_of(&visitor));
        assert_eq!(seen.iter().find(change), None);
    }
}

#[test]
fn what_else_is_unshared_is_not_told() {
    for mut watch in both() {
        // Nothing at all, which succeeds; of this thread alone.
        berth_sys::unshare_namespaces(0).unwrap();
        let mut next = Command::new("unshare");
        let mut next = next.args(["--uts", "true"]).spawn().unwrap();
        next.wait().unwrap();
        watch.until_end(pid_of(&next));
        changed(&watch, pid_of(&next), Joined::Unshare);
        let change = |kind: &&&EventKind| matches!(kind, EventKind::NamespacesChanged { .. });
        assert_eq!(watch.of_process(own_pid()).iter().find(change), None);
    }
}

/// A cgroup of this test, removed with it.
struct Cgroup(PathBuf);

impl Cgroup {
    /// In the first hierarchy that lets us; its path there as well.
    fn make() -> Option<(Self, String)> {
        let name = format!("berth-events-{}", std::process::id());
        let whole = |h: &berth_testkit::Hierarchy| h.root == Path::new("/");
        let hierarchies = berth_testkit::hierarchies().into_iter().filter(whole);
        let folders = hierarchies.map(|h| h.mount_point.join(&name));
        let made = folders.into_iter().find(|folder| {
            // A cpuset needs processors before it takes processes.
            !folder.to_string_lossy().contains("cpuset") && fs::create_dir(folder).is_ok()
        })?;
        Some((Self(made), format!("/{name}")))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn moves_between_cgroups_are_told() {
    let Some(mut watch) = Watch::bpf() else {
        return;
    };
    let Some((cgroup, path)) = Cgroup::make() else {
        return berth_testkit::skip("no cgroup can be made");
    };
    let victim = Victim::spawn(Command::new("sleep").arg("300"));
    let pid = pid_of(&victim.0);
    fs::write(cgroup.0.join("cgroup.procs"), pid.to_string()).unwrap();
    watch.until("a move", |events| {
        let moved = |e: &Event| e.pid == pid && matches!(e.kind, EventKind::CgroupMoved { .. });
        events.iter().any(moved)
    });
    let moved = EventKind::CgroupMoved { path: Some(path) };
    assert_eq!(watch.of_process(pid).last(), Some(&&moved));
    drop(victim);
}
