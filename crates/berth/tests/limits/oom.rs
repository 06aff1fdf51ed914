//! What the OOM killer did is told.

use crate::cli::eventually;
use crate::support::World;

const EAT: &str = "dd if=/dev/zero of=/dev/null bs=100M count=1 2>/dev/null";

#[test]
fn of_the_first_process_and_of_a_child() {
    let world = World::new();
    let template = "{{.State.OOMKilled}} {{.State.ExitCode}}";
    for (name, script, code, said) in [
        ("first", format!("exec {EAT}"), 137, "true 137"),
        ("child", format!("{EAT}; exit 3"), 3, "true 3"),
        ("none", "exit 3".to_owned(), 3, "false 3"),
    ] {
        let done = world.berth.run(&[
            "run",
            "--name",
            name,
            "-m",
            "16m",
            "--memory-swap",
            "16m",
            "host",
            "sh",
            "-c",
            &script,
        ]);
        assert_eq!(done.code, code, "{done:?}");
        assert_eq!(world.inspect(name, template), said, "{name}");
    }
    let status = |name: &str| {
        let filter = format!("name={name}");
        let seen = ["ps", "-a", "--filter", &filter, "--format", "{{.Status}}"];
        world.berth.ok(&seen).trim_end().to_owned()
    };
    let first = status("first");
    assert!(first.starts_with("Exited (137) "), "{first}");
    for (name, is_told) in [("first", true), ("child", true), ("none", false)] {
        let told = status(name).ends_with(" ago (OOM)");
        assert_eq!(told, is_told, "{name}: {}", status(name));
    }
}

#[test]
fn of_one_that_goes_on_and_is_told_afterwards() {
    let world = World::new();
    let script = format!("{EAT}; touch /dev/shm/done; sleep 1000");
    world.berth.ok(&[
        "run",
        "-d",
        "--name",
        "a",
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        "host",
        "sh",
        "-c",
        &script,
    ]);
    eventually("the kill", || {
        world.inspect("a", "{{.State.OOMKilled}}") == "true"
    });
    assert_eq!(
        world.inspect("a", "{{.State.Status}} {{.State.ExitCode}}"),
        "running 0"
    );
    let status = || world.ok("ps --format {{.Status}}").trim_end().to_owned();
    assert!(status().starts_with("Up "), "{}", status());
    assert!(status().ends_with(" (OOM)"), "{}", status());
    world.ok("kill a");
    assert_eq!(
        world.inspect("a", "{{.State.OOMKilled}} {{.State.ExitCode}}"),
        "true 137"
    );
    // Each run for itself.
    world
        .berth
        .ok(&["update", "-m", "256m", "--memory-swap", "256m", "a"]);
    world.ok("start a");
    assert_eq!(world.inspect("a", "{{.State.OOMKilled}}"), "false");
    assert!(!status().contains("OOM"), "{}", status());
}
