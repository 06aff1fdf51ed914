//! From create to delete: what each operation does, and when it is refused.

use berth_testkit::{covers, is_running, soon};
use serde_json::json;

use crate::runtime;

#[test]
fn a_container_is_created_started_and_deleted() {
    covers!(
        "runtime/scope-operations",
        "runtime/operations",
        "runtime/create-makes-container",
        "runtime/create-does-not-run",
        "runtime/args-wait-for-start",
        "runtime/start-runs-program",
        "runtime/program-run",
        "runtime/destroyed",
        "runtime/delete-removes-own",
        "runtime/create-environment",
        "bundle/one-folder",
        "bundle/config-in-root",
    );
    let runtime = runtime();
    let bundle = runtime.bundle().sh("echo ran; exit 3");
    let container = runtime.created("one", &bundle);
    assert_eq!(container.status(), "created");
    assert!(is_running(container.pid));
    assert_eq!(container.stdout(), "");
    assert!(!runtime.left().is_empty());
    container.start();
    assert_eq!(container.wait(), 3, "{}", container.stderr());
    assert_eq!(container.stdout(), "ran\n");
    assert_eq!(container.status(), "stopped");
    container.delete();
    runtime.assert_nothing_left();
    assert!(runtime.state("one").code != 0);
}

#[test]
fn every_part_of_the_configuration_is_applied_before_start() {
    covers!(
        "runtime/create-applies-all",
        "runtime/create-environment",
        "config-linux/ns-new"
    );
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .mount("tmpfs", "tmpfs", "/mnt", &["size=64k"])
        .set("/hostname", "applied");
    let container = runtime.created("one", &bundle);
    let mounts = container.proc("mountinfo");
    assert!(mounts.contains(" /mnt "), "{mounts}");
    assert_ne!(
        container.namespace("uts"),
        std::fs::read_link("/proc/self/ns/uts")
            .unwrap()
            .to_str()
            .unwrap()
    );
    let cgroups = container.proc("cgroup");
    let path = bundle.config["linux"]["cgroupsPath"].as_str().unwrap();
    assert!(
        cgroups.lines().any(|line| line.ends_with(path)),
        "{cgroups}"
    );
    container.start();
    assert_eq!(container.wait(), 0);
}

#[test]
fn a_changed_config_json_does_not_reach_a_created_container() {
    covers!("runtime/config-changes-ignored");
    let runtime = runtime();
    let bundle = runtime.bundle().sh("echo first");
    let container = runtime.created("one", &bundle);
    bundle
        .sh("echo second")
        .set("/annotations", json!({"second": "yes"}))
        .write();
    container.start();
    assert_eq!(container.wait(), 0);
    assert_eq!(container.stdout(), "first\n");
    assert!(container.state()["annotations"]["second"].is_null());
}

#[test]
fn an_id_that_is_taken_is_refused() {
    covers!("runtime/create-id-taken", "runtime/id-unique");
    let runtime = runtime();
    let first = runtime.created("one", &runtime.bundle().sleeping());
    let second = runtime.bundle();
    let message = runtime.create("one", &second).refused();
    assert!(message.contains("one"), "{message}");
    assert_eq!(first.status(), "created");
    assert!(is_running(first.pid));
    first.end();
    runtime.assert_nothing_left();
}

#[test]
fn a_deleted_id_can_be_used_again() {
    let runtime = runtime();
    for word in ["first", "second"] {
        let container = runtime.started("one", &runtime.bundle().sh(&format!("echo {word}")));
        assert_eq!(container.wait(), 0);
        assert!(container.stdout().ends_with(&format!("{word}\n")));
        container.delete();
    }
    runtime.assert_nothing_left();
}

#[test]
fn start_is_for_created_containers_alone() {
    covers!("runtime/start-not-created");
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    drop(runtime.start("one").refused());
    assert_eq!(container.status(), "running");
    assert!(is_running(container.pid));
    container.kill("KILL");
    assert_eq!(container.wait(), -9);
    drop(runtime.start("one").refused());
    assert_eq!(container.status(), "stopped");
    container.delete();
    drop(runtime.start("one").refused());
}

#[test]
fn a_signal_reaches_the_process() {
    covers!("runtime/kill-sends");
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .sh("trap 'echo usr1; exit 7' USR1; echo ready; while :; do sleep 0.02; done");
    let container = runtime.started("one", &bundle);
    container.says("ready");
    container.kill("USR1");
    assert_eq!(container.wait(), 7);
    assert!(container.stdout().contains("usr1"));
}

#[test]
fn signals_have_names_and_numbers() {
    let runtime = runtime();
    for (at, signal) in ["SIGTERM", "TERM", "15", "term", ""]
        .into_iter()
        .enumerate()
    {
        let id = format!("c{at}");
        let bundle = runtime
            .bundle()
            .sh("trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done");
        let container = runtime.started(&id, &bundle);
        container.says("ready");
        let words: Vec<&str> = ["kill", &id, signal]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        drop(runtime.invoke(&words).ok());
        assert_eq!(container.wait(), 5, "{signal:?}");
    }
    let container = runtime.created("last", &runtime.bundle());
    drop(runtime.kill("last", "SIGNONE").refused());
    drop(runtime.kill("last", "4711").refused());
    assert_eq!(container.status(), "created");
    container.kill("9");
    assert_eq!(container.wait(), -9);
}

#[test]
fn a_created_container_can_be_killed() {
    covers!("runtime/kill-sends");
    let runtime = runtime();
    let container = runtime.created("one", &runtime.bundle().sh("echo ran"));
    container.kill("KILL");
    assert_eq!(container.wait(), -9);
    assert_eq!(container.status(), "stopped");
    assert_eq!(container.stdout(), "");
    container.delete();
    runtime.assert_nothing_left();
}

#[test]
fn kill_is_for_live_containers_alone() {
    covers!("runtime/kill-not-alive");
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle());
    assert_eq!(container.wait(), 0);
    let message = runtime.kill("one", "KILL").refused();
    assert!(message.contains("container not running"), "{message}");
    assert_eq!(container.status(), "stopped");
    container.delete();
    let message = runtime.kill("one", "KILL").refused();
    assert!(message.contains("container does not exist"), "{message}");
}

#[test]
fn delete_is_for_stopped_containers_alone() {
    covers!("runtime/delete-not-stopped");
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    drop(runtime.delete("one").refused());
    assert_eq!(container.status(), "running");
    assert!(is_running(container.pid));
    container.end();
    // runc deletes a created one, which the specification forbids.
    if !runtime.is_foreign() {
        let created = runtime.created("two", &runtime.bundle().sleeping());
        let message = runtime.delete("two").refused();
        assert!(message.contains("not stopped"), "{message}");
        assert_eq!(created.status(), "created");
        assert!(is_running(created.pid));
        created.start();
        created.end();
    }
    runtime.assert_nothing_left();
}

#[test]
fn delete_by_force_kills_first() {
    let runtime = runtime();
    let running = runtime.started("running", &runtime.bundle().sleeping());
    let created = runtime.created("created", &runtime.bundle().sleeping());
    for container in [&running, &created] {
        drop(runtime.delete_force(&container.id).ok());
        assert_eq!(container.wait(), -9);
    }
    runtime.assert_nothing_left();
    // By force, a container that is not there is no failure.
    drop(runtime.delete_force("nobody").ok());
    drop(runtime.delete("nobody").refused());
}

#[test]
fn delete_keeps_what_was_there_before() {
    covers!("runtime/delete-keeps-foreign");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let kept = bundle.join("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("file"), "here").unwrap();
    let bundle = bundle
        .bind(&kept, "/mnt", &["rw"])
        .sh("echo more > /mnt/other; echo mine > /tmp/mine");
    let container = runtime.started("one", &bundle);
    assert_eq!(container.wait(), 0, "{}", container.stderr());
    container.delete();
    assert_eq!(std::fs::read_to_string(kept.join("file")).unwrap(), "here");
    assert_eq!(
        std::fs::read_to_string(kept.join("other")).unwrap(),
        "more\n"
    );
    assert!(bundle.rootfs().join("tmp/mine").exists());
    assert!(bundle.join("config.json").exists());
}

#[test]
fn run_ends_as_its_program_ends() {
    let runtime = runtime();
    for code in [0, 1, 42, 255] {
        let output = runtime.run("one", &runtime.bundle().sh(&format!("exit {code}")));
        assert_eq!(output.code, code, "{output:?}");
    }
    runtime.assert_nothing_left();
}

#[test]
fn run_by_force_of_a_signal_is_128_and_more() {
    let runtime = runtime();
    let script = "sh -c 'kill -KILL $$'; exit $?";
    let output = runtime.run("one", &runtime.bundle().sh(script));
    assert_eq!(output.code, 137, "{output:?}");
}

#[test]
fn run_detached_returns_while_the_program_runs() {
    let runtime = runtime();
    let output = runtime.run_with("one", &runtime.bundle().sleeping(), &["--detach"]);
    drop(output.ok());
    let state = runtime.state("one").ok().json();
    assert_eq!(state["status"], "running");
    let pid = i32::try_from(state["pid"].as_i64().unwrap()).unwrap();
    drop(runtime.kill("one", "KILL").ok());
    assert_eq!(berth_testkit::reap(pid), -9);
    drop(runtime.delete("one").ok());
    runtime.assert_nothing_left();
}

#[test]
fn operations_ask_for_an_id() {
    covers!(
        "runtime/state-needs-id",
        "runtime/create-needs-bundle-and-id",
        "runtime/start-needs-id",
        "runtime/kill-needs-id",
        "runtime/delete-needs-id"
    );
    let runtime = runtime();
    let bundle = runtime.bundle();
    bundle.write();
    for verb in [
        "state", "create", "start", "kill", "delete", "run", "pause", "resume", "ps",
    ] {
        let mut command = runtime.command(&[verb]);
        let output = runtime.finish(command.current_dir(bundle.path()));
        assert!(output.code > 0, "{verb}: {output:?}");
    }
    // The working folder is no bundle.
    assert!(runtime.invoke(&["create", "one"]).code > 0);
    runtime.assert_nothing_left();
}

#[test]
fn unknown_containers_are_named_by_every_operation() {
    covers!("runtime/state-unknown");
    let runtime = runtime();
    let words: [&[&str]; 8] = [
        &["state", "nobody"],
        &["start", "nobody"],
        &["kill", "nobody"],
        &["delete", "nobody"],
        &["pause", "nobody"],
        &["resume", "nobody"],
        &["ps", "nobody"],
        &["exec", "nobody", "true"],
    ];
    for words in words {
        let message = runtime.invoke(words).refused();
        assert!(
            message.contains("container does not exist"),
            "{words:?}: {message}"
        );
    }
}

#[test]
fn a_configuration_without_process_is_not_started() {
    covers!("runtime/start-without-process", "config/process-required");
    let runtime = runtime();
    let bundle = runtime.bundle().without("/process");
    // Either operation may say so: create may look at all of the configuration.
    let created = runtime.create("one", &bundle);
    if created.code == 0 {
        drop(runtime.start("one").refused());
        drop(runtime.delete_force("one").ok());
    } else {
        assert!(created.err.contains("process"), "{created:?}");
    }
    runtime.assert_nothing_left();
}

#[test]
fn the_bundle_is_the_working_folder_by_default() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh("echo here");
    bundle.write();
    let mut command = runtime.command(&["run", "one"]);
    let output = runtime.finish(command.current_dir(bundle.path())).ok();
    assert_eq!(output.out, "here\n");
}

#[test]
fn eight_creates_at_once_all_succeed() {
    let runtime = runtime();
    let bundles: Vec<_> = (0..8).map(|_| runtime.bundle().sleeping()).collect();
    std::thread::scope(|scope| {
        for (at, bundle) in bundles.iter().enumerate() {
            let runtime = &runtime;
            scope.spawn(move || {
                let id = format!("crowd{at}");
                drop(runtime.create(&id, bundle).ok());
                drop(runtime.start(&id).ok());
            });
        }
    });
    let containers = runtime.list();
    assert_eq!(containers.len(), 8, "{containers:?}");
    for container in &containers {
        assert_eq!(container["status"], "running", "{container}");
        let pid = i32::try_from(container["pid"].as_i64().unwrap()).unwrap();
        let id = container["id"].as_str().unwrap();
        drop(runtime.delete_force(id).ok());
        assert_eq!(berth_testkit::reap(pid), -9);
    }
    runtime.assert_nothing_left();
}

#[test]
fn one_of_eight_creates_of_one_id_succeeds() {
    covers!("runtime/id-unique");
    let runtime = runtime();
    let bundles: Vec<_> = (0..8).map(|_| runtime.bundle().sleeping()).collect();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let threads: Vec<_> = bundles
            .iter()
            .map(|bundle| {
                let mut command = runtime.bundle_command("create", "same", bundle, &[]);
                let runtime = &runtime;
                scope.spawn(move || runtime.finish(&mut command).code)
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(runtime.list().len(), 1);
    drop(runtime.delete_force("same").ok());
    runtime.assert_nothing_left();
}

#[test]
fn run_leaves_another_container_of_its_name_alone() {
    let runtime = runtime();
    let first = runtime.bundle().sh("exec sleep 60");
    let mut run = runtime
        .bundle_command("run", "one", &first, &[])
        .spawn()
        .unwrap();
    soon("a first container that runs", || {
        let state = runtime.state("one").out;
        state.contains("\"running\"").then_some(())
    });
    let foreground = rustix::process::Pid::from_child(&run);
    // Not to hear of its container's end until another has its name.
    rustix::process::kill_process(foreground, rustix::process::Signal::STOP).unwrap();
    assert_eq!(runtime.delete_force("one").code, 0);
    let second = runtime.bundle().sh("true");
    let container = runtime.created("one", &second);
    rustix::process::kill_process(foreground, rustix::process::Signal::CONT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(137));
    assert_eq!(container.status(), "created");
    container.start();
    assert_eq!(container.wait(), 0);
}
