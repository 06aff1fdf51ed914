//! `pause` and `unpause`, and what other commands make of a paused container.

use crate::cli::eventually;
use crate::support::World;

/// A container that counts into a file, and how far it is.
fn counting(world: &World) {
    let script = "i=0; while :; do i=$((i+1)); echo $i > /dev/shm/n; done";
    world
        .berth
        .ok(&["run", "-d", "--name", "a", "host", "sh", "-c", script]);
}

fn count(world: &World) -> String {
    let pid = world.inspect("a", "{{.State.Pid}}");
    std::fs::read_to_string(format!("/proc/{pid}/root/dev/shm/n")).unwrap_or_default()
}

#[test]
fn everything_stands_still_and_goes_on() {
    let world = World::new();
    counting(&world);
    eventually("the first number", || !count(&world).trim().is_empty());
    assert_eq!(world.ok("pause a"), "a");
    let before = count(&world);
    let again = world.ok("ps --format {{.Status}}");
    assert!(again.ends_with("(Paused)"), "{again}");
    let template = "{{.State.Status}} {{.State.Paused}} {{.State.Running}}";
    assert_eq!(world.inspect("a", template), "paused true true");
    assert_eq!(count(&world), before);
    assert_eq!(world.ok("ps -q --filter status=paused").len(), 12);
    assert_eq!(world.ok("unpause a"), "a");
    eventually("another number", || {
        let now = count(&world);
        !now.trim().is_empty() && now != before
    });
    assert_eq!(world.inspect("a", template), "running false true");
}

#[test]
fn who_may_not_and_what_is_refused() {
    let world = World::new();
    world.ok("create --name idle host true");
    for verb in ["pause", "unpause"] {
        let err = world.fails(1, &format!("{verb} idle"));
        assert!(err.contains("container idle is not running"), "{err}");
    }
    world.start("a", "");
    let err = world.fails(1, "unpause a");
    assert_eq!(err, "berth: container a is not paused, it is running");
    world.ok("pause a");
    for (code, line, said) in [
        (1, "pause a", "is paused already"),
        (1, "start a", "let it go on with \"berth unpause a\""),
        (
            125,
            "exec a true",
            "cannot run a process in container a: it is paused",
        ),
        (
            125,
            "start -a a",
            "cannot attach to container a: it is paused",
        ),
        (1, "rm a", "it is paused"),
    ] {
        let done = world.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert!(
            done.code == code || line.starts_with("start"),
            "{line}: {done:?}"
        );
        assert!(done.err.contains(said), "{line}: {done:?}");
        assert_eq!(done.out, "", "{line}");
    }
    assert_eq!(world.inspect("a", "{{.State.Status}}"), "paused");
}

#[test]
fn it_can_be_ended_in_every_way() {
    let world = World::new();
    let ends = "trap 'exit 7' TERM; touch /dev/shm/ready; while :; do sleep 0.01; done";
    for (line, code) in [
        ("stop a", 7),
        ("kill -s TERM a", 7),
        ("kill a", 137),
        ("stop -t 0 -s USR1 a", 137),
    ] {
        world
            .berth
            .ok(&["run", "-d", "--name", "a", "host", "sh", "-c", ends]);
        let pid = world.inspect("a", "{{.State.Pid}}");
        let ready = format!("/proc/{pid}/root/dev/shm/ready");
        eventually("its trap", || std::path::Path::new(&ready).exists());
        world.ok("pause a");
        world.ok(line);
        assert_eq!(world.ok("wait a"), code.to_string(), "{line}");
        assert_eq!(
            world.inspect("a", "{{.State.Status}} {{.State.Paused}}"),
            "exited false"
        );
        world.ok("start a");
        assert_eq!(world.inspect("a", "{{.State.Status}}"), "running");
        world.ok("pause a");
        world.ok("rm -f a");
    }
}

#[test]
fn another_signal_waits_until_it_goes_on() {
    let world = World::new();
    let script = "trap 'exit 9' USR1; touch /dev/shm/ready; while :; do sleep 0.01; done";
    world
        .berth
        .ok(&["run", "-d", "--name", "a", "host", "sh", "-c", script]);
    let pid = world.inspect("a", "{{.State.Pid}}");
    let ready = format!("/proc/{pid}/root/dev/shm/ready");
    eventually("its trap", || std::path::Path::new(&ready).exists());
    world.ok("pause a");
    world.ok("kill -s USR1 a");
    assert_eq!(world.inspect("a", "{{.State.Status}}"), "paused");
    world.ok("unpause a");
    assert_eq!(world.ok("wait a"), "9");
}

#[test]
fn it_outlives_its_monitor() {
    let world = World::new();
    world.start("a", "");
    world.ok("pause a");
    let keeper: u32 = world
        .inspect("a", "{{.Berth.Live.KeeperPid}}")
        .parse()
        .unwrap();
    let children =
        std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
    let monitor: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    let monitor = rustix::process::Pid::from_raw(monitor).unwrap();
    rustix::process::kill_process(monitor, rustix::process::Signal::KILL).unwrap();
    assert_eq!(world.inspect("a", "{{.State.Status}}"), "paused");
    world.ok("unpause a");
    assert_eq!(world.ok("exec a echo here"), "here");
}

#[test]
fn the_kernel_says_whether_it_is_paused() {
    let world = World::new();
    world.start("a", "");
    world.ok("pause a");
    let cgroups: serde_json::Value =
        serde_json::from_str(&world.inspect("a", "{{json .Berth.Live.Cgroups}}")).unwrap();
    let (file, word) = match cgroups["v2"].as_str() {
        Some(folder) => (format!("{folder}/cgroup.freeze"), "0"),
        None => (
            format!(
                "{}/freezer.state",
                cgroups["v1"]["freezer"].as_str().unwrap()
            ),
            "THAWED",
        ),
    };
    std::fs::write(&file, word).unwrap();
    assert_eq!(world.inspect("a", "{{.State.Status}}"), "running");
    assert_eq!(world.ok("exec a echo here"), "here");
    world.ok("pause a");
    assert_eq!(world.inspect("a", "{{.State.Status}}"), "paused");
}
