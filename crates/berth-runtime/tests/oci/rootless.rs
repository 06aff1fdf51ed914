//! Containers of a user without privilege.

use berth_testkit::{covers, soon};

use crate::rootless_runtime;

/// A user that the machine need not know.
const USER: u32 = 23_456;

#[test]
fn an_unprivileged_user_runs_a_container() {
    covers!("runtime/scope-operations");
    let runtime = rootless_runtime(USER);
    let bundle = runtime
        .bundle()
        .sh("id -u; cat /proc/self/uid_map; hostname; echo $$; exit 3");
    let output = runtime.run("one", &bundle);
    assert_eq!(output.code, 3, "{output:?}");
    let words: Vec<&str> = output.out.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "23456", "1", "testkit", "1"]);
    runtime.assert_nothing_left();
}

#[test]
fn an_unprivileged_container_has_a_life() {
    let runtime = rootless_runtime(USER);
    let container = runtime.created("one", &runtime.bundle().sleeping());
    let owner = std::os::unix::fs::MetadataExt::uid(
        &std::fs::metadata(format!("/proc/{}", container.pid)).unwrap(),
    );
    assert!(owner == USER || owner == 0);
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.status(), "running");
    let said = runtime.exec("one", &["sh", "-c", "id -u; exit 5"]);
    assert_eq!((said.code, said.text()), (5, "0"), "{said:?}");
    container.kill("KILL");
    assert_eq!(container.wait(), -9);
    assert_eq!(container.status(), "stopped");
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn limits_that_cannot_be_set_are_said_and_do_not_stop_it() {
    let runtime = rootless_runtime(USER);
    let bundle = runtime
        .bundle()
        .set("/linux/resources/pids", serde_json::json!({"limit": 50}))
        .sh("echo ran");
    let output = runtime.run("one", &bundle);
    // Without a delegated cgroup: a warning, or an error that says so.
    assert!(output.err.contains("cgroup"), "{output:?}");
}

#[test]
fn files_of_the_root_belong_to_the_user() {
    let runtime = rootless_runtime(USER);
    let bundle = runtime
        .bundle()
        .sh("echo x > /tmp/new; stat -c %u:%g /tmp/new /etc/passwd");
    let output = runtime.run("one", &bundle).ok();
    assert_eq!(output.out, "0:0\n0:0\n");
    let new = std::fs::metadata(bundle.rootfs().join("tmp/new")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&new), USER);
}

#[test]
fn a_bundle_without_a_user_namespace_is_refused() {
    let runtime = rootless_runtime(USER);
    let bundle = runtime
        .bundle()
        .without_namespace("user")
        .without("/linux/uidMappings")
        .without("/linux/gidMappings");
    // A name of its own: users without a cgroup namespace to themselves share those by name.
    drop(runtime.create("refused", &bundle).refused());
    runtime.assert_nothing_left();
}

#[test]
fn the_whole_container_ends_with_its_first_process() {
    let runtime = rootless_runtime(USER);
    let container = runtime.started("one", &runtime.bundle().sh("sleep 1000 & sleep 1001"));
    soon("three processes", || {
        let seen = container.sh("ls /proc | grep -c '^[0-9]*$'").out;
        (seen.trim().parse::<u32>().unwrap_or(0) >= 5).then_some(())
    });
    drop(runtime.delete_force("one").ok());
    assert_eq!(container.wait(), -9);
    runtime.assert_nothing_left();
}
