//! Cgroups: where they are, what they limit, and that they go away.

use std::path::PathBuf;

use berth_testkit::{Bundle, CgroupParent, Output, Runtime, covers, hierarchies, soon};
use serde_json::{Value, json};

use crate::{refused, runtime};

fn path_of(bundle: &Bundle) -> String {
    bundle.config["linux"]["cgroupsPath"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What a file of the container's cgroup says: by its v1 name, or by its v2 name.
fn says(bundle: &Bundle, controller: &str, v1: &str, v2: &str) -> Option<String> {
    let folder = CgroupParent::folder(controller, &path_of(bundle))?;
    [v1, v2]
        .iter()
        .find_map(|file| std::fs::read_to_string(folder.join(file)).ok())
        .map(|text| text.trim().to_owned())
}

fn is_v1(controller: &str) -> bool {
    hierarchies()
        .iter()
        .any(|h| !h.is_v2() && h.has(controller))
}

/// Updates a container with resources on standard input.
fn update(runtime: &Runtime, resources: &Value) -> Output {
    let file = runtime.path("resources.json");
    std::fs::write(&file, resources.to_string()).unwrap();
    let mut command = runtime.command(&["update", "--resources", "-", "one"]);
    runtime.finish(command.stdin(std::fs::File::open(file).unwrap()))
}

#[test]
fn the_process_is_in_the_configured_cgroup_of_every_hierarchy() {
    covers!(
        "config-linux/cgroups-path-form",
        "config-linux/cgroups-path-absolute",
        "config-linux/cgroups-path-consistent",
    );
    let runtime = runtime();
    let bundle = runtime.bundle().sleeping();
    for _ in 0..2 {
        let container = runtime.started("one", &bundle);
        for hierarchy in hierarchies() {
            let folder = hierarchy
                .mount_point
                .join(path_of(&bundle).trim_start_matches('/'));
            let name = hierarchy.controllers.first().map_or("", String::as_str);
            if name.starts_with("name=") {
                continue;
            }
            let processes = std::fs::read_to_string(folder.join("cgroup.procs")).unwrap();
            let pid = container.pid.to_string();
            assert!(
                processes.lines().any(|line| line == pid),
                "{name}: {processes}"
            );
        }
        container.end();
        runtime.assert_nothing_left();
    }
}

#[test]
fn a_relative_path_is_the_same_place_each_time() {
    covers!(
        "config-linux/cgroups-path-form",
        "config-linux/cgroups-path-consistent"
    );
    let runtime = runtime();
    let relative = runtime
        .cgroups()
        .path("relative")
        .trim_start_matches('/')
        .to_owned();
    let bundle = runtime
        .bundle()
        .set("/linux/cgroupsPath", relative.clone())
        .sleeping();
    let mut places = Vec::new();
    for _ in 0..2 {
        let container = runtime.started("one", &bundle);
        let cgroups = container.proc("cgroup");
        assert!(cgroups.contains(&relative), "{cgroups}");
        places.push(cgroups);
        container.end();
    }
    assert_eq!(places[0], places[1]);
    runtime.assert_nothing_left();
}

#[test]
fn a_path_to_the_top_or_with_a_line_break_is_refused() {
    covers!("config-linux/cgroups-path-invalid");
    for path in ["/", "/..", "a/..", "/a\nb"] {
        refused("linux.cgroupsPath", |b| b.set("/linux/cgroupsPath", path));
    }
}

#[test]
fn a_frozen_cgroup_is_refused() {
    covers!("config-linux/cgroup-unfit");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let path = path_of(&bundle);
    let frozen: Vec<PathBuf> = hierarchies()
        .iter()
        .filter(|h| h.is_v2() || h.has("freezer"))
        .map(|h| h.mount_point.join(path.trim_start_matches('/')))
        .collect();
    for folder in &frozen {
        std::fs::create_dir_all(folder).unwrap();
        let (file, word) = if folder.join("freezer.state").exists() {
            ("freezer.state", "FROZEN")
        } else {
            ("cgroup.freeze", "1")
        };
        std::fs::write(folder.join(file), word).unwrap();
    }
    let message = runtime.create("one", &bundle).refused();
    assert!(message.contains("frozen"), "{message}");
    // They were there before, so they stay.
    assert!(frozen.iter().all(|folder| folder.exists()));
    assert!(runtime.state("one").code != 0);
}

#[test]
fn without_a_path_there_is_a_cgroup_all_the_same() {
    let runtime = runtime();
    let id = format!("berth-oci-{}-default", std::process::id());
    let bundle = runtime
        .bundle()
        .without("/linux/cgroupsPath")
        .set("/linux/resources/pids", json!({"limit": 50}))
        .sleeping();
    let container = runtime.started(&id, &bundle);
    let cgroups = container.proc("cgroup");
    let line = cgroups
        .lines()
        .find(|line| line.contains("pids"))
        .unwrap_or("0::/");
    assert!(line.contains(&id) || !is_v1("pids"), "{cgroups}");
    container.end();
    for hierarchy in hierarchies() {
        let path = line.rsplit(':').next().unwrap().trim_start_matches('/');
        assert!(path.is_empty() || !hierarchy.mount_point.join(path).exists());
    }
}

#[test]
fn limits_are_in_place_before_the_program_runs() {
    let runtime = runtime();
    let bundle = runtime.bundle().set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67_108_864, "reservation": 33_554_432, "swap": 134_217_728},
            "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 33},
        }),
    );
    let container = runtime.created("one", &bundle);
    let memory = |v1, v2| says(&bundle, "memory", v1, v2);
    for (found, wanted) in [
        (memory("memory.limit_in_bytes", "memory.max"), "67108864"),
        (
            memory("memory.soft_limit_in_bytes", "memory.low"),
            "33554432",
        ),
        (says(&bundle, "pids", "pids.max", "pids.max"), "33"),
        (says(&bundle, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0"),
        (says(&bundle, "cpuset", "cpuset.mems", "cpuset.mems"), "0"),
    ] {
        assert!(
            found.is_none() || found.as_deref() == Some(wanted),
            "{found:?}, not {wanted}"
        );
    }
    if is_v1("cpu") {
        assert_eq!(
            says(&bundle, "cpu", "cpu.shares", "").as_deref(),
            Some("512")
        );
        assert_eq!(
            says(&bundle, "cpu", "cpu.cfs_quota_us", "").as_deref(),
            Some("50000")
        );
        assert_eq!(
            says(&bundle, "cpu", "cpu.cfs_period_us", "").as_deref(),
            Some("100000")
        );
    }
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn memory_beyond_the_limit_is_not_had() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set(
            "/linux/resources/memory",
            json!({"limit": 16_777_216, "swap": 16_777_216}),
        )
        .sh("head -c 64000000 /dev/zero | tail -c 63999999 > /dev/null; echo $?");
    let output = runtime.run("one", &bundle);
    assert!(output.out.trim() != "0", "{output:?}");
    runtime.assert_nothing_left();
}

#[test]
fn processes_beyond_the_limit_are_not_forked() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set("/linux/resources/pids", json!({"limit": 4}))
        .sh("sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait");
    let output = runtime.run("one", &bundle);
    assert!(output.err.contains("fork"), "{output:?}");
    runtime.assert_nothing_left();
}

#[test]
fn update_changes_limits_by_flags_and_by_json() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set("/linux/resources/memory", json!({"limit": 67_108_864}))
        .sleeping();
    let container = runtime.started("one", &bundle);
    let words = [
        "update",
        "--memory",
        "33554432",
        "--pids-limit",
        "44",
        "--cpu-share",
        "300",
        "one",
    ];
    drop(runtime.invoke(&words).ok());
    let memory = || says(&bundle, "memory", "memory.limit_in_bytes", "memory.max");
    let pids = || says(&bundle, "pids", "pids.max", "pids.max");
    assert_eq!(memory().as_deref().unwrap_or("33554432"), "33554432");
    assert_eq!(pids().as_deref().unwrap_or("44"), "44");
    drop(
        update(
            &runtime,
            &json!({"memory": {"limit": 50_331_648}, "pids": {"limit": 55}}),
        )
        .ok(),
    );
    assert_eq!(memory().as_deref().unwrap_or("50331648"), "50331648");
    assert_eq!(pids().as_deref().unwrap_or("55"), "55");
    drop(update(&runtime, &json!({"pids": {"limit": -1}})).ok());
    assert_eq!(pids().as_deref().unwrap_or("max"), "max");
    assert_eq!(memory().as_deref().unwrap_or("50331648"), "50331648");
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn a_limit_below_the_usage_is_refused_where_asked_for() {
    covers!("config-linux/memory-check-before-update");
    let runtime = runtime();
    // A shell variable of 8 MiB is memory that cannot be written back.
    let bundle = runtime
        .bundle()
        .set(
            "/linux/resources/memory",
            json!({"limit": 67_108_864, "swap": 67_108_864}),
        )
        .sh("x=$(head -c 8388608 /dev/zero | tr '\\0' x); echo filled; \
             trap 'exit 0' TERM; while :; do sleep 0.05; done; echo $x");
    let container = runtime.started("one", &bundle);
    container.says("filled");
    let resources =
        json!({"memory": {"limit": 1_048_576, "swap": 1_048_576, "checkBeforeUpdate": true}});
    drop(update(&runtime, &resources).refused());
    assert_eq!(container.status(), "running");
    let limit = says(&bundle, "memory", "memory.limit_in_bytes", "memory.max");
    assert!(
        limit.is_none() || limit.as_deref() == Some("67108864"),
        "{limit:?}"
    );
    container.end();
}

#[test]
fn bursts_above_the_quota_are_refused() {
    covers!("config-linux/cpu-burst");
    refused("linux.resources.cpu", |b| {
        b.set(
            "/linux/resources/cpu",
            json!({"quota": 10_000, "period": 100_000, "burst": 20_000}),
        )
    });
}

#[test]
fn entries_that_lack_their_parts_are_refused() {
    covers!(
        "config-linux/block-weight-device-required",
        "config-linux/block-weight-given",
        "config-linux/block-throttle-required",
        "config-linux/hugepage-required",
        "config-linux/network-priority-required",
        "config-linux/rdma-given",
    );
    for (field, value) in [
        ("blockIO.weightDevice", json!([{"major": 7, "weight": 500}])),
        ("blockIO.weightDevice", json!([{"minor": 0, "weight": 500}])),
        ("blockIO.weightDevice", json!([{"major": 7, "minor": 0}])),
        (
            "blockIO.throttleReadBpsDevice",
            json!([{"major": 7, "minor": 0}]),
        ),
        ("blockIO.throttleWriteIOPSDevice", json!([{"rate": 600}])),
        ("hugepageLimits", json!([{"pageSize": "2MB"}])),
        ("hugepageLimits", json!([{"limit": 2_097_152}])),
        ("network.priorities", json!([{"name": "lo"}])),
        ("network.priorities", json!([{"priority": 5}])),
        ("rdma", json!({"mlx5_1": {}})),
    ] {
        let pointer = format!("/linux/resources/{}", field.replace('.', "/"));
        refused(&format!("linux.resources.{field}"), |b| {
            b.set(&pointer, value)
        });
    }
}

#[test]
fn pause_freezes_every_process() {
    let runtime = runtime();
    let bundle = runtime.bundle().sh(
        "(while :; do echo child; sleep 0.01; done) & while :; do echo parent; sleep 0.01; done",
    );
    let container = runtime.started("one", &bundle);
    container.says("child");
    drop(runtime.invoke(&["pause", "one"]).ok());
    let quiet = container.stdout();
    std::thread::sleep(std::time::Duration::from_millis(80));
    assert_eq!(container.stdout(), quiet);
    drop(runtime.exec("one", &["true"]).refused());
    drop(runtime.invoke(&["resume", "one"]).ok());
    soon("output", || (container.stdout() != quiet).then_some(()));
    drop(runtime.invoke(&["resume", "one"]).refused());
    // A frozen container dies of SIGKILL all the same.
    drop(runtime.invoke(&["pause", "one"]).ok());
    drop(runtime.delete_force("one").ok());
    assert_eq!(container.wait(), -9);
    runtime.assert_nothing_left();
}

#[test]
fn kill_all_reaches_every_process_without_a_pid_namespace() {
    let runtime = runtime();
    let mut bundle = runtime.bundle().without_namespace("pid");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    let bundle = bundle.sh("sleep 1000 & echo $!; exec sleep 1000");
    let container = runtime.started("one", &bundle);
    let child: i32 = soon("a PID", || container.stdout().trim().parse().ok());
    drop(runtime.invoke(&["kill", "--all", "one", "KILL"]).ok());
    assert_eq!(container.wait(), -9);
    soon("the child's end", || {
        (!berth_testkit::is_running(child)).then_some(())
    });
    drop(runtime.delete("one").ok());
    runtime.assert_nothing_left();
}

#[test]
fn delete_ends_what_outlived_the_first_process_of_a_shared_pid_namespace() {
    let runtime = runtime();
    let mut bundle = runtime.bundle().without_namespace("pid");
    bundle.config["linux"]["maskedPaths"] = json!([]);
    let bundle = bundle.sh("sleep 1000 & echo $!");
    let container = runtime.started("one", &bundle);
    assert_eq!(container.wait(), 0);
    let child: i32 = container.stdout().trim().parse().unwrap();
    assert!(berth_testkit::is_running(child));
    drop(runtime.delete_force("one").ok());
    soon("the child's end", || {
        (!berth_testkit::is_running(child)).then_some(())
    });
    runtime.assert_nothing_left();
}

#[test]
fn without_intel_rdt_resctrl_is_left_alone() {
    covers!("config-linux/rdt-unset");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let Some(resctrl) = mounts.lines().find(|line| line.contains(" - resctrl ")) else {
        return berth_testkit::skip("resctrl is not mounted here");
    };
    let folder = resctrl.split(' ').nth(4).unwrap();
    let seen = || {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let schemata = std::fs::read_to_string(format!("{folder}/schemata")).unwrap();
        (names, schemata)
    };
    let before = seen();
    let runtime = runtime();
    let container = runtime.started("one", &runtime.bundle().sleeping());
    assert_eq!(seen(), before);
    let pid = container.pid.to_string();
    let tasks = std::fs::read_to_string(format!("{folder}/tasks")).unwrap();
    assert!(tasks.lines().any(|line| line == pid));
    container.end();
}
