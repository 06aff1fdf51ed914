//! Each flag, by the file in which the kernel has it.

use crate::support::{Setting, World, memory, same};

#[test]
fn limits_are_in_the_cgroup() {
    let world = World::new();
    world.start(
        "a",
        "-m 64m --memory-swap 128m --memory-reservation 32m --cpus 0.5 -c 512 --cpuset-cpus 0 \
         --cpuset-mems 0 --pids-limit 20",
    );
    world.expect(
        "a",
        &[
            memory("67108864"),
            Setting {
                controller: "memory",
                v1: ("memory.soft_limit_in_bytes", "33554432"),
                v2: ("memory.low", "33554432"),
            },
            Setting {
                controller: "cpu",
                v1: ("cpu.cfs_quota_us", "50000"),
                v2: ("cpu.max", "50000 100000"),
            },
            Setting {
                controller: "cpu",
                v1: ("cpu.shares", "512"),
                v2: ("cpu.weight", "59"),
            },
            same("cpuset", "cpuset.cpus", "0"),
            same("cpuset", "cpuset.mems", "0"),
            same("pids", "pids.max", "20"),
        ],
    );
    if world.has_v1("memory") {
        let swap = same("memory", "memory.memsw.limit_in_bytes", "134217728");
        world.expect("a", &[swap]);
    }
    let shown = world.inspect(
        "a",
        "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} \
         {{.CpusetCpus}} {{.CpusetMems}} {{.PidsLimit}} {{.ShmSize}} {{.OomKillDisable}}{{end}}",
    );
    assert_eq!(
        shown,
        "67108864 134217728 33554432 500000000 512 0 0 20 67108864 false"
    );
}

#[test]
fn a_quota_and_a_period_of_ones_own() {
    let world = World::new();
    world.start("a", "--cpu-period 50000 --cpu-quota 10000");
    world.start("b", "--cpu-quota -1");
    let quota = |v1, v2| Setting {
        controller: "cpu",
        v1: ("cpu.cfs_quota_us", v1),
        v2: ("cpu.max", v2),
    };
    world.expect("a", &[quota("10000", "10000 50000")]);
    world.expect("b", &[quota("-1", "max 100000")]);
    let template = "{{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}}";
    assert_eq!(world.inspect("a", template), "50000 10000");
}

#[test]
fn hints_are_taken_or_refused_aloud() {
    let world = World::new();
    let arguments = [
        "run",
        "-d",
        "--name",
        "a",
        "-m",
        "64m",
        "--memory-swappiness",
        "30",
        "--oom-kill-disable",
        "--kernel-memory",
        "8m",
        "host",
        "sleep",
        "1000",
    ];
    let done = world.berth.run(&arguments);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("--kernel-memory is ignored"), "{done:?}");
    let is_v1 = world.has_v1("memory");
    for flag in ["--memory-swappiness", "--oom-kill-disable"] {
        let told = done.err.contains(&format!("{flag} is ignored"));
        assert_eq!(told, !is_v1, "{done:?}");
    }
    if is_v1 {
        world.expect("a", &[same("memory", "memory.swappiness", "30")]);
        let control = same("memory", "memory.oom_control", "");
        assert!(world.read("a", &control).starts_with("oom_kill_disable 1"));
    }
    let template = "{{.HostConfig.MemorySwappiness}} {{.HostConfig.OomKillDisable}}";
    assert_eq!(world.inspect("a", template), "30 true");
}

#[test]
fn block_devices_are_throttled() {
    let world = World::new();
    let Some((device, number)) = block_device() else {
        berth_testkit::skip("no disk below /dev");
        return;
    };
    world.start(
        "a",
        &format!(
            "--device-read-bps {device}:1mb --device-write-bps {device}:2mb --device-read-iops {device}:300 \
             --device-write-iops {device}:400"
        ),
    );
    let (folder, is_v1) = world.cgroup("a", "blkio");
    let said = |file: &str| crate::support::read(&folder.join(file));
    if is_v1 {
        for (kind, value) in [
            ("read_bps", 1 << 20),
            ("write_bps", 2 << 20),
            ("read_iops", 300),
            ("write_iops", 400),
        ] {
            let line = said(&format!("blkio.throttle.{kind}_device"));
            assert_eq!(line, format!("{number} {value}"));
        }
    } else {
        let line = format!("{number} rbps=1048576 wbps=2097152 riops=300 wiops=400");
        assert_eq!(said("io.max"), line);
    }
    let shown = world.inspect("a", "{{json .HostConfig.BlkioDeviceReadIOps}}");
    assert_eq!(shown, format!(r#"[{{"Path":"{device}","Rate":300}}]"#));
}

/// A whole disk that has a node.
fn block_device() -> Option<(String, String)> {
    let mut names: Vec<_> = std::fs::read_dir("/sys/block").ok()?.flatten().collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    names.into_iter().find_map(|entry| {
        let device = format!("/dev/{}", entry.file_name().to_str()?);
        let number = std::fs::read_to_string(entry.path().join("dev")).ok()?;
        let there = std::path::Path::new(&device).exists();
        there.then(|| (device, number.trim().to_owned()))
    })
}

#[test]
fn what_its_processes_see() {
    let world = World::new();
    let script = "cat /proc/self/oom_score_adj; ulimit -n; cat /proc/sys/net/core/somaxconn \
                  /proc/sys/kernel/msgmax; df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2";
    let flags = "--oom-score-adj 500 --ulimit nofile=100:200 --sysctl net.core.somaxconn=777 \
                 --sysctl kernel.msgmax=9000 --shm-size 8m";
    assert_eq!(world.run(flags, script), "500\n100\n777\n9000\n8192");
}

#[test]
fn further_processes_have_it_too() {
    let world = World::new();
    world.start("a", "--oom-score-adj 500 --ulimit nofile=100:200");
    let script = "cat /proc/self/oom_score_adj; ulimit -n";
    assert_eq!(
        world.berth.ok(&["exec", "a", "sh", "-c", script]),
        "500\n100"
    );
}

#[test]
fn what_is_only_shown() {
    let world = World::new();
    world.ok("create --name a --oom-score-adj 3 --sysctl net.core.somaxconn=7 --annotation k=v --shm-size 1m --ulimit core=0 host true");
    let shown = world.inspect(
        "a",
        "{{with .HostConfig}}{{.OomScoreAdj}} {{.Sysctls}} {{.Annotations}} {{.ShmSize}} {{json .Ulimits}}{{end}}",
    );
    assert_eq!(
        shown,
        r#"3 map[net.core.somaxconn:7] map[k:v] 1048576 [{"Hard":0,"Name":"core","Soft":0}]"#
    );
    let id = world.inspect("a", "{{.Id}}");
    let spec = world
        .berth
        .path("root/containers")
        .join(id)
        .join("spec.json");
    let spec: serde_json::Value = serde_json::from_str(&crate::support::read(&spec)).unwrap();
    assert_eq!(spec["annotations"]["k"], "v");
}
