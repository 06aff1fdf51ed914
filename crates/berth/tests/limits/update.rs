//! `update`: at once where it runs, at its next start where it does not, whole or not at all.

use crate::support::{Setting, World, memory, same};

#[test]
fn a_running_one_has_it_at_once_and_keeps_it() {
    let world = World::new();
    world.start("a", "-m 64m --pids-limit 20 --cpus 1");
    assert_eq!(
        world.ok("update -m 128m --pids-limit 30 --cpus 0.5 -c 100 --cpuset-cpus 0 a"),
        "a"
    );
    let settings = || {
        [
            memory("134217728"),
            same("pids", "pids.max", "30"),
            same("cpuset", "cpuset.cpus", "0"),
        ]
    };
    world.expect("a", &settings());
    let template = "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}}";
    assert_eq!(world.inspect("a", template), "134217728 30 500000000 100 0");
    world.ok("kill a");
    world.ok("start a");
    world.expect("a", &settings());
    // Lower again, and without a limit.
    world.ok("update -m 32m --pids-limit -1 a");
    world.expect("a", &[memory("33554432"), same("pids", "pids.max", "max")]);
    world.ok("kill a");
    world.ok("start a");
    world.expect("a", &[memory("33554432"), same("pids", "pids.max", "max")]);
}

#[test]
fn one_that_does_not_run_has_it_at_its_next_start() {
    let world = World::new();
    world.ok("create --name a host sleep 1000");
    world.ok("update -m 64m --memory-swap -1 a");
    assert_eq!(
        world.inspect("a", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"),
        "67108864 -1"
    );
    world.ok("start a");
    world.expect("a", &[memory("67108864")]);
}

/// Memory and swap together: v1 has them in one file, v2 the swap alone in another.
fn swap(both: &'static str, swap: &'static str) -> Setting {
    Setting {
        controller: "memory",
        v1: ("memory.memsw.limit_in_bytes", both),
        v2: ("memory.swap.max", swap),
    }
}

#[test]
fn as_much_swap_again_as_memory_unless_asked_otherwise() {
    let world = World::new();
    let shown =
        |name: &str| world.inspect(name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}");
    world.start("a", "-m 64m");
    world.start("same", "-m 64m --memory-swap 64m");
    world.start("none", "");
    assert_eq!(shown("a"), "67108864 134217728");
    world.expect("a", &[swap("134217728", "67108864")]);
    world.expect("same", &[swap("67108864", "0")]);
    // Together they stay what they are.
    world.ok("update -m 32m a");
    assert_eq!(shown("a"), "33554432 134217728");
    world.expect("a", &[memory("33554432"), swap("134217728", "100663296")]);
    let err = world.fails(1, "update -m 129m a");
    assert!(
        err.contains("--memory 135266304 is more than the 134217728"),
        "{err}"
    );
    assert_eq!(shown("a"), "33554432 134217728");
    world.ok("update -m 256m --memory-swap 300m a");
    world.expect("a", &[memory("268435456"), swap("314572800", "46137344")]);
    world.ok("update -m 32m none");
    assert_eq!(shown("none"), "33554432 67108864");
    world.expect("none", &[swap("67108864", "33554432")]);
    world.ok("kill none");
    world.ok("start none");
    world.expect("none", &[swap("67108864", "33554432")]);
}

#[test]
fn below_what_is_in_use_nothing_changes() {
    let world = World::new();
    let script = "dd if=/dev/zero of=/dev/shm/full bs=1M count=40; touch /dev/shm/done; sleep 1000";
    let run = [
        "run", "-d", "--name", "a", "-m", "200m", "host", "sh", "-c", script,
    ];
    world.berth.ok(&run);
    let pid = world.inspect("a", "{{.State.Pid}}");
    let done = format!("/proc/{pid}/root/dev/shm/done");
    crate::cli::eventually("memory in use", || std::path::Path::new(&done).exists());
    let err = world.fails(1, "update -m 20m --pids-limit 7 --cpu-shares 99 a");
    assert!(
        err.starts_with("berth: cannot update container a: "),
        "{err}"
    );
    assert!(
        err.contains("in use") && err.ends_with("; nothing was changed"),
        "{err}"
    );
    world.expect("a", &[memory("209715200"), same("pids", "pids.max", "max")]);
    let template =
        "{{.HostConfig.Memory}} {{.HostConfig.CpuShares}} {{.State.Status}} {{.State.OOMKilled}}";
    assert_eq!(world.inspect("a", template), "209715200 0 running false");
}

#[test]
fn quota_and_cpus_exclude_each_other() {
    let world = World::new();
    world.ok("create --name a --cpus 1 host true");
    world.ok("create --name b --cpu-quota 5000 host true");
    let err = world.fails(1, "update --cpu-quota 5000 a");
    assert!(
        err.contains("--cpu-quota cannot be changed: the container has --cpus"),
        "{err}"
    );
    let err = world.fails(1, "update --cpus 1 b");
    assert!(err.contains("--cpus cannot be changed"), "{err}");
    world.ok("update --cpus 0.5 a");
    assert_eq!(world.inspect("a", "{{.HostConfig.NanoCpus}}"), "500000000");
}

#[test]
fn several_at_once_and_a_paused_one() {
    let world = World::new();
    world.start("a", "-m 64m");
    world.start("b", "-m 64m");
    world.ok("pause b");
    let done = world.berth.run(&["update", "-m", "96m", "a", "none", "b"]);
    assert_eq!((done.code, done.out.as_str()), (1, "a\nb\n"), "{done:?}");
    for name in ["a", "b"] {
        world.expect(name, &[memory("100663296")]);
    }
    assert_eq!(world.inspect("b", "{{.State.Status}}"), "paused");
}

#[test]
fn files_of_a_version_that_had_no_update_are_read() {
    let world = World::new();
    world.ok("create --name a -m 64m --cpus 1.5 --pids-limit 9 host sleep 1000");
    let folder = world
        .berth
        .path("root/containers")
        .join(world.inspect("a", "{{.Id}}"));
    let path = folder.join("create.json");
    let mut create: serde_json::Value = serde_json::from_str(&crate::support::read(&path)).unwrap();
    // Where they were before there were others.
    let options = create["options"].as_object_mut().unwrap();
    assert_eq!(options["memory_bytes"], 67_108_864);
    assert!(
        options.remove("limits").is_none(),
        "nothing is written of what is not given"
    );
    options.insert("memory_bytes".into(), 33_554_432.into());
    std::fs::write(&path, create.to_string()).unwrap();
    let template = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(world.inspect("a", template), "33554432 1500000000 9");
}
