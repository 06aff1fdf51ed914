//! The state of a container, and what it says when something has died.

use berth_testkit::{covers, kill, soon};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::runtime;

/// What `schema/state-schema.json` of the specification asks for.
fn assert_fits_schema(state: &Value) {
    for (field, is_right) in [
        ("ociVersion", state["ociVersion"].is_string()),
        ("id", state["id"].is_string()),
        (
            "status",
            ["creating", "created", "running", "stopped", "paused"]
                .iter()
                .any(|status| state["status"] == *status),
        ),
        ("pid", state["pid"].as_u64().is_some()),
        (
            "bundle",
            state["bundle"]
                .as_str()
                .is_some_and(|path| path.starts_with('/')),
        ),
        (
            "annotations",
            state["annotations"].is_null()
                || state["annotations"]
                    .as_object()
                    .is_some_and(|map| map.values().all(Value::is_string)),
        ),
    ] {
        assert!(is_right, "{field} in {state}");
    }
}

#[test]
fn the_state_follows_the_container() {
    covers!(
        "runtime/state-returned",
        "runtime/state-oci-version",
        "runtime/state-id",
        "runtime/state-status",
        "runtime/state-pid",
        "runtime/state-bundle",
        "runtime/state-schema"
    );
    let runtime = runtime();
    let bundle = runtime.bundle().sleeping().set(
        "/annotations",
        json!({"com.example.key": "value", "empty": ""}),
    );
    let container = runtime.created("one", &bundle);
    for (status, step) in [
        ("created", "start"),
        ("running", "kill"),
        ("stopped", "delete"),
    ] {
        let state = container.state();
        assert_fits_schema(&state);
        assert_eq!(state["id"], "one");
        assert_eq!(state["status"], status, "before {step}");
        assert_eq!(state["bundle"], bundle.path().to_str().unwrap());
        assert_eq!(state["annotations"]["com.example.key"], "value");
        assert_eq!(state["annotations"]["empty"], "");
        match step {
            "start" => {
                assert_eq!(state["pid"], container.pid);
                container.start();
            }
            "kill" => {
                assert_eq!(state["pid"], container.pid);
                container.kill("KILL");
                assert_eq!(container.wait(), -9);
            }
            _ => {
                assert_eq!(state["pid"], 0);
                container.delete();
            }
        }
    }
}

#[test]
fn paused_is_a_status_of_its_own() {
    covers!("runtime/status-additional");
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .sh("n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done");
    let container = runtime.started("one", &bundle);
    container.says("3\n");
    drop(runtime.invoke(&["pause", "one"]).ok());
    assert_eq!(container.status(), "paused");
    let before = container.stdout();
    std::thread::sleep(std::time::Duration::from_millis(60));
    assert_eq!(container.stdout(), before);
    drop(runtime.invoke(&["resume", "one"]).ok());
    assert_eq!(container.status(), "running");
    soon("more output", || {
        (container.stdout() != before).then_some(())
    });
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn a_zombie_is_stopped() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle());
    assert!(berth_testkit::ended(container.pid));
    // Nobody has reaped it.
    assert_eq!(container.status(), "stopped");
    container.delete();
    assert_eq!(container.wait(), 0);
    runtime.assert_nothing_left();
}

#[test]
fn a_process_killed_from_outside_is_stopped() {
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    kill(container.pid, Signal::KILL);
    assert_eq!(container.wait(), -9);
    assert_eq!(container.status(), "stopped");
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn a_relative_bundle_is_absolute_in_the_state() {
    covers!("runtime/state-bundle");
    let runtime = runtime();
    let bundle = runtime.bundle().sleeping();
    bundle.write();
    let parent = bundle.path().parent().unwrap();
    let name = bundle.path().file_name().unwrap().to_str().unwrap();
    let mut command = runtime.command(&["run", "--detach", "--bundle", name, "one"]);
    drop(runtime.finish(command.current_dir(parent)).ok());
    let state = runtime.state("one").ok().json();
    assert_eq!(state["bundle"], bundle.path().to_str().unwrap());
}
