//! What is true after somebody died in the wrong moment.

use std::time::Duration;

use berth_testkit::{Runtime, finish, is_running, kill, reap, soon};
use rustix::process::Signal;

use crate::{children, runtime};

/// Removes what a killed command left, and everything must be gone.
fn recover(runtime: &Runtime, id: &str, before: &std::collections::BTreeSet<i32>) {
    let state = runtime.state(id);
    assert!(
        state.code == 0 || state.err.contains("does not exist"),
        "{state:?}"
    );
    drop(runtime.delete_force(id).ok());
    for pid in children().difference(before) {
        soon("the end of what was left", || {
            (!is_running(*pid)).then_some(())
        });
        reap(*pid);
    }
    assert!(runtime.state(id).code != 0);
    runtime.assert_nothing_left();
}

#[test]
fn a_create_that_is_killed_half_way_can_be_deleted() {
    let runtime = runtime();
    let before = children();
    for half_ms in 0..30 {
        let mut command =
            runtime.bundle_command("create", "one", &runtime.bundle().sleeping(), &[]);
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_micros(half_ms * 700));
        child.kill().unwrap();
        finish(&mut child);
        recover(&runtime, "one", &before);
    }
    // And the id is free again.
    let container = runtime.started("one", &runtime.bundle());
    assert_eq!(container.wait(), 0);
    container.delete();
}

#[test]
fn a_start_that_is_killed_half_way_leaves_created_or_more() {
    let runtime = runtime();
    let before = children();
    for tenth_ms in [0, 5, 10, 20, 40, 80] {
        let container = runtime.created("one", &runtime.bundle().sleeping());
        let mut child = runtime.command(&["start", "one"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(tenth_ms * 100));
        child.kill().unwrap();
        finish(&mut child);
        let status = container.status();
        assert!(
            ["created", "running", "stopped"].contains(&status.as_str()),
            "{status}"
        );
        recover(&runtime, "one", &before);
    }
}

#[test]
fn a_delete_that_is_killed_half_way_can_be_repeated() {
    let runtime = runtime();
    let before = children();
    for tenth_ms in [0, 10, 30, 60, 100] {
        let container = runtime.started("one", &runtime.bundle().sleeping());
        container.kill("KILL");
        container.wait();
        let mut child = runtime.command(&["delete", "one"]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(tenth_ms * 100));
        child.kill().unwrap();
        finish(&mut child);
        recover(&runtime, "one", &before);
    }
}

#[test]
fn a_created_container_whose_process_died_is_stopped() {
    let runtime = runtime();
    let container = runtime.created("one", &runtime.bundle());
    kill(container.pid, Signal::KILL);
    container.wait();
    assert_eq!(container.status(), "stopped");
    drop(runtime.start("one").refused());
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn a_state_folder_that_holds_rubbish_is_no_container() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    let folder = runtime.root().join("rubbish");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("state.json"), "{").unwrap();
    let listed = runtime.list();
    assert!(listed.iter().any(|c| c["id"] == "one"), "{listed:?}");
    drop(runtime.state("rubbish").refused());
    std::fs::remove_dir_all(&folder).unwrap();
    container.end();
}

/// In a PID namespace of the test's own, where the next PID can be chosen.
#[test]
fn another_process_with_the_same_pid_is_not_the_container() {
    let runtime = runtime();
    let bundle = runtime.bundle().without_namespace("pid");
    let mut bundle = bundle;
    bundle.config["linux"]["maskedPaths"] = serde_json::json!([]);
    bundle.write();
    let script = format!(
        "exec unshare -p --fork --mount-proc sh -c '\
         \"$@\" create --bundle {0} one > /dev/null 2>&1 && \
         pid=$(\"$@\" state one | sed -n \"s/.*\\\"pid\\\": *\\([0-9]*\\).*/\\1/p\") && \
         \"$@\" start one; \
         while [ -e /proc/$pid ]; do sleep 0.02; done; \
         echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid; sleep 1000 & other=$!; \
         echo $pid $other; \"$@\" state one; \"$@\" kill one KILL; echo kill $?; \
         \"$@\" delete one; echo delete $?; \
         kill -0 $other && echo alive; kill -KILL $other' sh \"$@\"",
        bundle.path().display()
    );
    let output = runtime.finish(&mut runtime.through_shell(&script, &[]));
    let first = output.out.lines().next().unwrap();
    let (pid, other) = first.split_once(' ').unwrap();
    assert_eq!(pid, other, "the PID was to be used again: {output:?}");
    assert!(output.out.contains("\"status\": \"stopped\""), "{output:?}");
    assert!(!output.out.contains("kill 0"), "{output:?}");
    assert!(output.out.contains("delete 0"), "{output:?}");
    assert!(output.out.contains("alive"), "{output:?}");
}
