//! Scheduler, I/O priority, memory policy.

use berth_testkit::{covers, skip};
use serde_json::json;

use crate::{output_of, refused};

/// Nice value and policy of the program: fields 19 and 41 of /proc/PID/stat.
fn scheduling(scheduler: serde_json::Value) -> (i32, i32) {
    let stat = output_of(|b| {
        b.set("/process/scheduler", scheduler).args(&[
            "cut",
            "-d ",
            "-f",
            "19,41",
            "/proc/self/stat",
        ])
    });
    let mut words = stat.split_whitespace().map(|word| word.parse().unwrap());
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn the_scheduler_is_the_configured_one() {
    covers!("config/scheduler-defaults");
    assert_eq!(
        scheduling(json!({"policy": "SCHED_BATCH", "nice": 5})),
        (5, 3)
    );
    assert_eq!(
        scheduling(json!({"policy": "SCHED_OTHER", "nice": 7})),
        (7, 0)
    );
    assert_eq!(scheduling(json!({"policy": "SCHED_BATCH"})), (0, 3));
    assert_eq!(scheduling(json!({"policy": "SCHED_IDLE"})).1, 5);
}

#[test]
fn a_scheduler_that_is_none_is_refused() {
    covers!("config/scheduler-policy-required");
    refused("process.scheduler", |b| {
        b.set("/process/scheduler", json!({"nice": 5}))
    });
    refused("process.scheduler", |b| {
        b.set("/process/scheduler", json!({"policy": "SCHED_LUCKY"}))
    });
    refused("process.scheduler", |b| {
        b.set(
            "/process/scheduler",
            json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]}),
        )
    });
}

#[test]
fn the_io_priority_is_the_configured_one() {
    for (class, shown) in [
        ("IOPRIO_CLASS_BE", "best-effort"),
        ("IOPRIO_CLASS_IDLE", "idle"),
    ] {
        let said = output_of(|b| {
            b.set(
                "/process/ioPriority",
                json!({"class": class, "priority": 3}),
            )
            .sh("ionice -p $$")
        });
        assert!(said.starts_with(shown), "{said}");
        assert!(said.contains('3') || shown == "idle", "{said}");
    }
}

#[test]
fn an_io_priority_that_is_none_is_refused() {
    covers!("config/io-priority-required");
    for priority in [
        json!({"priority": 3}),
        json!({"class": "IOPRIO_CLASS_BE"}),
        json!({"class": "IOPRIO_CLASS_NONESUCH", "priority": 3}),
        json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
    ] {
        refused("process.ioPriority", |b| {
            b.set("/process/ioPriority", priority)
        });
    }
}

#[test]
fn the_memory_policy_is_the_configured_one() {
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        skip("the kernel has no memory policies");
        return;
    }
    for (mode, shown) in [
        ("MPOL_BIND", "bind:0"),
        ("MPOL_PREFERRED", "prefer:0"),
        ("MPOL_INTERLEAVE", "interleave:0"),
    ] {
        let maps = output_of(|b| {
            b.set("/linux/memoryPolicy", json!({"mode": mode, "nodes": "0"}))
                .args(&["cat", "/proc/self/numa_maps"])
        });
        assert!(maps.contains(shown), "{mode}: {maps}");
    }
    let local = output_of(|b| {
        b.set("/linux/memoryPolicy", json!({"mode": "MPOL_LOCAL"}))
            .args(&["cat", "/proc/self/numa_maps"])
    });
    assert!(local.contains(" local "), "{local}");
    let flagged = output_of(|b| {
        b.set(
            "/linux/memoryPolicy",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
        )
        .args(&["cat", "/proc/self/numa_maps"])
    });
    assert!(flagged.contains("bind=static:0"), "{flagged}");
}

#[test]
fn a_memory_policy_that_is_none_is_refused() {
    covers!("config-linux/memory-policy-mode-required");
    for policy in [
        json!({"nodes": "0"}),
        json!({"mode": "MPOL_NONESUCH", "nodes": "0"}),
        json!({"mode": "MPOL_BIND"}),
        json!({"mode": "MPOL_BIND", "nodes": "zero"}),
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NONESUCH"]}),
    ] {
        refused("linux.memoryPolicy", |b| {
            b.set("/linux/memoryPolicy", policy)
        });
    }
}
