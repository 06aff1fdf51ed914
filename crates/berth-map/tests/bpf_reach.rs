//! Where BPF is used and where procfs is: without privilege, on a copy of a procfs, in a container,
//! with damaged offsets.

#![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

#[path = "support/sources.rs"]
mod compared;
#[path = "support/real.rs"]
mod real;
mod support;

use std::io::Write as _;
use std::process::Command;

use berth_map::model::{Source, Wanted, World};
use compared::{below, by_bpf, compare, start};
use real::{is_root, own_pid, sources, stay, unprivileged};
use support::{Fake, FakeHost};

#[test]
fn without_privilege_procfs_is_read_and_the_reason_given() {
    if !is_root() {
        return;
    }
    let world = unprivileged(|| World::discover(&sources()).unwrap());
    assert_eq!(world.source(), Source::Procfs);
    let warnings = world.warnings().join("\n");
    assert!(
        warnings.contains("BPF is not available: CAP_BPF"),
        "{warnings}"
    );
}

#[test]
fn a_copy_of_a_procfs_is_read_as_what_it_is() {
    let host = FakeHost::new(&[
        Fake::new(&[1], 0, "systemd"),
        Fake::new(&[7], 1, "only-here"),
    ]);
    let world = World::discover(&host.sources()).unwrap();
    assert_eq!(world.source(), Source::Procfs);
    assert_eq!(world.processes().len(), 2);
    let error = World::discover_by(&host.sources(), &Wanted::default(), Source::Bpf).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read processes by bpf: ")
    );
}

/// Set in the copy of this test that runs in a PID namespace.
const INSIDE: &str = "BERTH_MAP_INSIDE";

#[test]
fn in_a_container_the_map_counts_as_its_procfs_does() {
    const NAME: &str = "in_a_container_the_map_counts_as_its_procfs_does";
    match std::env::var(INSIDE).as_deref() {
        Ok("own") => return inside_with_its_own_procfs(),
        Ok(_) => return inside_with_the_procfs_of_outside(),
        Err(_) => {}
    }
    let Some(_) = by_bpf(&Wanted::default()) else {
        return;
    };
    let own = std::env::current_exe().unwrap();
    for (how, more) in [("own", &["--mount-proc"][..]), ("outside", &[])] {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).args(more);
        command.arg(&own).args(["--exact", NAME, "--nocapture"]);
        let output = command.env(INSIDE, how).output().unwrap();
        let mut said = output.stdout.clone();
        said.write_all(&output.stderr).unwrap();
        assert!(
            output.status.success(),
            "{how}: {}",
            String::from_utf8_lossy(&said)
        );
        assert!(String::from_utf8_lossy(&said).contains("1 passed"), "{how}");
    }
}

fn inside_with_its_own_procfs() {
    let tree = start(
        "unshare",
        &["--pid", "--fork", "--kill-child", "sleep", "300"],
    );
    let members = below(tree.pid(), 2);
    let _thread = stay(|| ());
    // PID 1, its threads, and the tree.
    assert!(compare(|_, _| true) >= 4);
    let bpf = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap();
    assert_eq!(bpf.process(own_pid()).unwrap().pids, [1]);
    let inner = members.iter().find(|p| p.level() == 1).unwrap();
    let seen = bpf.process(inner.pid).unwrap();
    assert_eq!(seen.pids.len(), 2);
    assert_eq!(bpf.parent(seen).map(|p| p.pid), Some(tree.pid()));
    let namespace = seen
        .pid_namespace()
        .and_then(|id| bpf.namespace(id))
        .unwrap();
    assert_eq!(namespace.parent, bpf.host().pid_namespace);
    let outermost = bpf.host().pid_namespace.and_then(|id| bpf.namespace(id));
    assert_eq!(outermost.unwrap().parent, None);
}

fn inside_with_the_procfs_of_outside() {
    let world = World::discover(&sources()).unwrap();
    assert_eq!(world.source(), Source::Procfs);
    // More than the test and unshare.
    assert!(world.processes().len() > 2);
    let refused = World::discover_by(&sources(), &Wanted::default(), Source::Bpf).unwrap_err();
    assert!(
        refused.to_string().contains("own PID namespace"),
        "{refused}"
    );
}
