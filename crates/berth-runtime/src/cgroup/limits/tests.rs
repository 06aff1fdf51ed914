use std::fmt::Write as _;

use berth_testkit::covers;
use oci_spec::runtime::LinuxResources;

use super::*;
use crate::cgroup::kernel_tests::{Place, run_in};

fn resources(json: &str) -> LinuxResources {
    serde_json::from_str(json).unwrap()
}

fn v1(_: Controller) -> Option<Version> {
    Some(Version::V1)
}

fn v2(controller: Controller) -> Option<Version> {
    controller.v2_name().map(|_| Version::V2)
}

fn show(json: &str, locate: &dyn Fn(Controller) -> Option<Version>) -> String {
    let mut text = String::new();
    match plan(&resources(json), locate) {
        Err(error) => writeln!(text, "{:?}: {error}", error.class()).unwrap(),
        Ok(settings) => {
            for setting in settings {
                let choices: Vec<String> = setting
                    .choices
                    .iter()
                    .map(|(file, value)| format!("{file} = {value}"))
                    .collect();
                let optional = if setting.if_missing.is_none() {
                    " (optional)"
                } else {
                    ""
                };
                writeln!(text, "{}{optional}", choices.join(" | ")).unwrap();
            }
        }
    }
    text
}

const EVERYTHING: &str = r#"{
    "memory": {"limit": 536870912, "reservation": 268435456, "swap": 1073741824, "kernel": 1},
    "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 20000, "cpus": "0-1", "mems": "0"},
    "pids": {"limit": 512},
    "blockIO": {
        "weight": 500,
        "weightDevice": [{"major": 8, "minor": 0, "weight": 100}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]
    },
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
    "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}
}"#;

#[test]
fn everything_on_v1() {
    insta::assert_snapshot!(show(EVERYTHING, &v1), @r"
    memory.limit_in_bytes = 536870912
    memory.memsw.limit_in_bytes = 1073741824
    memory.soft_limit_in_bytes = 268435456
    cpu.shares = 1024
    cpu.cfs_period_us = 100000
    cpu.cfs_quota_us = 50000
    cpu.cfs_burst_us = 20000
    cpuset.cpus = 0-1
    cpuset.mems = 0
    pids.max = 512
    blkio.bfq.weight = 500 | blkio.weight = 500
    blkio.bfq.weight_device = 8:0 100 | blkio.weight_device = 8:0 100
    blkio.throttle.read_bps_device = 8:0 600
    blkio.throttle.write_iops_device = 8:16 0
    hugetlb.2MB.limit_in_bytes = 4194304
    hugetlb.2MB.rsvd.limit_in_bytes = 4194304 (optional)
    rdma.max = mlx5_1 hca_handle=3 hca_object=10000
    ");
}

#[test]
fn everything_on_v2() {
    insta::assert_snapshot!(show(EVERYTHING, &v2), @r"
    memory.max = 536870912
    memory.swap.max = 536870912
    memory.low = 268435456
    cpu.weight = 100
    cpu.max = 50000 100000
    cpu.max.burst = 20000
    cpuset.cpus = 0-1
    cpuset.mems = 0
    pids.max = 512
    io.bfq.weight = 500 | io.weight = 4950
    io.bfq.weight = 8:0 100 | io.weight = 8:0 910
    io.max = 8:0 rbps=600
    io.max = 8:16 wiops=max
    hugetlb.2MB.max = 4194304
    hugetlb.2MB.rsvd.max = 4194304 (optional)
    rdma.max = mlx5_1 hca_handle=3 hca_object=10000
    ");
}

#[test]
fn what_docker_writes_for_unset_limits_changes_nothing() {
    let json = r#"{
        "memory": {"disableOOMKiller": false},
        "cpu": {"shares": 0},
        "pids": {"limit": 0},
        "blockIO": {"weight": 0},
        "network": {"classID": 0}
    }"#;
    assert_eq!(show(json, &|_| None), "");
    assert_eq!(show(json, &v2), "");
}

#[test]
fn unlimited_is_minus_one_or_max() {
    let json = r#"{"memory": {"limit": -1}, "cpu": {"quota": -1, "period": 50000}, "pids": {"limit": -1}}"#;
    insta::assert_snapshot!(show(json, &v1), @r"
    memory.limit_in_bytes = -1
    memory.memsw.limit_in_bytes = -1 (optional)
    cpu.cfs_period_us = 50000
    cpu.cfs_quota_us = -1
    pids.max = max (optional)
    ");
    insta::assert_snapshot!(show(json, &v2), @r"
    memory.max = max
    memory.swap.max = max (optional)
    cpu.max = max 50000
    pids.max = max (optional)
    ");
}

#[test]
fn refusals_name_the_limit_the_value_and_the_remedy() {
    covers!(
        "config-linux/cpu-burst",
        "config-linux/rdma-given",
        "config-linux/block-weight-given",
        "config-linux/unified-no-conversion"
    );
    let mut text = String::new();
    for (json, locate) in [
        (
            r#"{"memory": {"limit": -7}}"#,
            &v1 as &dyn Fn(Controller) -> Option<Version>,
        ),
        (r#"{"memory": {"limit": 10000000, "swap": 9000000}}"#, &v1),
        (r#"{"memory": {"limit": -1, "swap": 9000000}}"#, &v2),
        (r#"{"memory": {"swap": 9000000}}"#, &v2),
        (r#"{"memory": {"swappiness": 101}}"#, &v1),
        (r#"{"memory": {"swappiness": 10}}"#, &v2),
        (r#"{"memory": {"disableOOMKiller": true}}"#, &v2),
        (r#"{"memory": {"limit": 100000000}}"#, &|_| None),
        (r#"{"cpu": {"shares": 1}}"#, &v1),
        (r#"{"cpu": {"quota": 999}}"#, &v2),
        (r#"{"cpu": {"period": 1000001}}"#, &v2),
        (r#"{"cpu": {"quota": 5000, "burst": 6000}}"#, &v2),
        (r#"{"cpu": {"idle": 2}}"#, &v1),
        (r#"{"cpu": {"cpus": "0 ../x"}}"#, &v1),
        (r#"{"cpu": {"realtimeRuntime": 5}}"#, &v2),
        (r#"{"pids": {"limit": 5000000}}"#, &v1),
        (r#"{"blockIO": {"weight": 5}}"#, &v2),
        (
            r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}"#,
            &v2,
        ),
        (
            r#"{"blockIO": {"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}}"#,
            &v2,
        ),
        (
            r#"{"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}"#,
            &v2,
        ),
        (r#"{"rdma": {"m": {}}}"#, &v2),
        (r#"{"network": {"classID": 5}}"#, &v2),
        (
            r#"{"network": {"priorities": [{"name": "a b", "priority": 1}]}}"#,
            &v1,
        ),
    ] {
        text += &show(json, locate);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn an_idle_group_gets_no_weight() {
    let json = r#"{"cpu": {"shares": 512, "idle": 1}}"#;
    assert_eq!(show(json, &v2), "cpu.idle = 1\n");
    let json = r#"{"cpu": {"shares": 512, "idle": 0}}"#;
    assert_eq!(
        show(json, &v2),
        "cpu.idle = 0 (optional)\ncpu.weight = 59\n"
    );
}

fn read(cgroup: &Cgroup, controller: Controller, v1: &str, v2: &str) -> String {
    let branch = cgroup.branch_for(controller, "test").unwrap();
    let file = if branch.controllers.is_empty() {
        v2
    } else {
        v1
    };
    branch
        .read_if_present(file)
        .unwrap()
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn limits_reach_the_kernel_and_can_be_updated() {
    let Some(place) = Place::new("limits") else {
        return;
    };
    let cgroup = place.create("a");
    cgroup
        .apply(&resources(
            r#"{"memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432},
                "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
                "pids": {"limit": 100}}"#,
        ))
        .unwrap();
    let memory = |cgroup| {
        read(
            cgroup,
            Controller::Memory,
            "memory.limit_in_bytes",
            "memory.max",
        )
    };
    assert_eq!(memory(&cgroup), "67108864");
    assert_eq!(
        read(&cgroup, Controller::Pids, "pids.max", "pids.max"),
        "100"
    );
    assert_eq!(
        read(&cgroup, Controller::Cpuset, "cpuset.cpus", "cpuset.cpus"),
        "0"
    );
    // Up, where memsw has to move first on v1, and down, where it has to move last.
    for (limit, swap) in [(536_870_912, 536_870_912), (67_108_864, 67_108_864)] {
        let json = format!(r#"{{"memory": {{"limit": {limit}, "swap": {swap}}}}}"#);
        Cgroup::from_paths(&cgroup.paths())
            .apply(&resources(&json))
            .unwrap();
        assert_eq!(memory(&cgroup), limit.to_string());
    }
    cgroup.remove().unwrap();
}

#[test]
fn the_kernel_s_refusal_names_limit_value_and_file() {
    let Some(place) = Place::new("refuse") else {
        return;
    };
    let cgroup = place.create("a");
    let error = cgroup
        .apply(&resources(r#"{"cpu": {"cpus": "4095"}}"#))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("cannot set the CPU list to 4095 in /"),
        "{text}"
    );
    let huge = r#"{"hugepageLimits": [{"pageSize": "3KB", "limit": 0}]}"#;
    let error = cgroup.apply(&resources(huge)).unwrap_err();
    assert!(matches!(error, CgroupError::Unsupported { .. }), "{error}");
    cgroup.remove().unwrap();
}

#[test]
fn unified_settings_reach_v2_only() {
    covers!(
        "config-linux/unified-unknown-written",
        "config-linux/unified-controller-missing"
    );
    let Some(place) = Place::new("unified") else {
        return;
    };
    let cgroup = place.create("a");
    let apply = |json: &str| cgroup.apply(&resources(json));
    for bad in [
        "cgroup.procs",
        "../x",
        "memory",
        "cgroup.kill",
        ".x",
        "a/b.c",
    ] {
        let error = apply(&format!(r#"{{"unified": {{"{bad}": "0"}}}}"#)).unwrap_err();
        let expected = if cgroup.v2.is_some() {
            "invalid unified setting"
        } else {
            "invalid"
        };
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let missing = apply(r#"{"unified": {"nosuch.max": "0"}}"#).unwrap_err();
    assert!(
        matches!(missing, CgroupError::Unsupported { .. }),
        "{missing}"
    );
    if let Some(branch) = &cgroup.v2 {
        // Each line is written by itself; both at once the kernel would refuse.
        apply(r#"{"unified": {"cgroup.max.descendants": "3\n7"}}"#).unwrap();
        assert_eq!(
            branch
                .read_if_present("cgroup.max.descendants")
                .unwrap()
                .unwrap(),
            "7\n"
        );
    }
    cgroup.remove().unwrap();
}

#[test]
fn a_controller_that_only_v2_has_is_enabled_when_a_limit_needs_it() {
    covers!("config-linux/unified-controllers-enabled");
    let Some(place) = Place::new("enable") else {
        return;
    };
    let cgroup = place.create("a");
    let controllers = place
        .hierarchies
        .v2
        .as_ref()
        .map(|v2| std::fs::read_to_string(v2.mount.join("cgroup.controllers")).unwrap());
    if place.hierarchies.v1_of("hugetlb").is_some()
        || !controllers.is_some_and(|names| names.contains("hugetlb"))
    {
        eprintln!("skipped: hugetlb is not in v2");
        return cgroup.remove().unwrap();
    }
    let json = r#"{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}"#;
    cgroup.apply(&resources(json)).unwrap();
    let v2 = cgroup.v2.as_ref().unwrap();
    assert_eq!(
        v2.read_if_present("hugetlb.2MB.max").unwrap().unwrap(),
        "4194304\n"
    );
    let other = place.create("b");
    let json = r#"{"unified": {"hugetlb.2MB.max": "2097152"}}"#;
    other.apply(&resources(json)).unwrap();
    let v2 = other.v2.as_ref().unwrap();
    assert_eq!(
        v2.read_if_present("hugetlb.2MB.max").unwrap().unwrap(),
        "2097152\n"
    );
    other.remove().unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn an_update_writes_limits_in_whichever_order_the_kernel_takes() {
    let Some(place) = Place::new("update") else {
        return;
    };
    let cgroup = place.create("a");
    let running = Cgroup::from_paths(&cgroup.paths());
    for (json, quota) in [
        (
            r#"{"cpu": {"quota": 20000, "period": 100000, "burst": 10000}}"#,
            20_000,
        ),
        // Below the old burst, above the old quota, and with another period.
        (r#"{"cpu": {"quota": 5000, "burst": 4000}}"#, 5_000),
        (r#"{"cpu": {"quota": 80000, "burst": 70000}}"#, 80_000),
        (r#"{"cpu": {"period": 50000}}"#, 80_000),
        (
            r#"{"cpu": {"shares": 2000, "cpus": "0", "mems": "0"}, "pids": {"limit": -1}}"#,
            80_000,
        ),
    ] {
        running
            .update(&resources(json))
            .unwrap_or_else(|error| panic!("{json}: {error}"));
        let text = read(&cgroup, Controller::Cpu, "cpu.cfs_quota_us", "cpu.max");
        assert_eq!(text.split(' ').next().unwrap(), quota.to_string(), "{json}");
    }
    // What is 0 is not asked for, and device rules are not an update's.
    let json = r#"{"cpu": {"quota": 0}, "pids": {"limit": 0}, "devices": [{"allow": true, "access": "x"}]}"#;
    running.update(&resources(json)).unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn limits_that_do_nothing_are_told() {
    let json = r#"{"memory": {"kernel": 9000000, "useHierarchy": false}}"#;
    assert_eq!(ignored_limits(&resources(json)).len(), 2);
    let json = r#"{"memory": {"kernel": 0, "useHierarchy": true, "limit": 9}}"#;
    assert_eq!(ignored_limits(&resources(json)), [""; 0]);
}

#[test]
fn a_memory_limit_below_the_usage_is_refused_where_that_is_to_be_checked() {
    covers!("config-linux/memory-check-before-update");
    let Some(place) = Place::new("inuse") else {
        return;
    };
    let cgroup = place.create("a");
    let whole = r#"{"memory": {"limit": 268435456, "swap": 268435456}}"#;
    cgroup.apply(&resources(whole)).unwrap();
    // tail(1) keeps what it may have to print.
    let child = run_in(&cgroup, "(head -c 16m /dev/zero; sleep 100) | tail -c 12m");
    let used = || cgroup.stats().unwrap().memory.usage.usage;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while used() < 12 << 20 {
        assert!(std::time::Instant::now() < deadline, "{}", used());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let less = r#"{"memory": {"limit": 4194304, "checkBeforeUpdate": true}}"#;
    cgroup.update(&resources(less)).unwrap_err();
    assert_eq!(cgroup.stats().unwrap().memory.usage.limit, 268_435_456);
    assert_eq!(cgroup.oom_kills().unwrap(), 0);
    cgroup.end(deadline).unwrap();
    child.wait_with_output().unwrap();
    cgroup.remove().unwrap();
}
