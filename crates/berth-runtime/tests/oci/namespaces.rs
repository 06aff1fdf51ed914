//! Namespaces: made, joined, inherited.

use std::process::Command;

use berth_testkit::covers;
use serde_json::json;

use crate::{output_of, refused, runtime};

/// Types of the configuration with their names below /proc/PID/ns.
const TYPES: [(&str, &str); 8] = [
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("user", "user"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn own(name: &str) -> String {
    let link = std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
    link.to_str().unwrap().to_owned()
}

#[test]
fn listed_types_are_new_and_others_inherited() {
    covers!(
        "config-linux/ns-new",
        "config-linux/ns-inherited",
        "features-linux/namespaces"
    );
    let runtime = runtime();
    let all = runtime
        .bundle()
        .namespace("cgroup")
        .namespace("time")
        .user_namespace(100_000)
        .sleeping();
    let container = runtime.started("all", &all);
    for (kind, name) in TYPES {
        assert_ne!(container.namespace(name), own(name), "{kind}");
    }
    container.end();

    let mut least = runtime.bundle().sleeping().without("/hostname");
    for (kind, _) in TYPES.iter().filter(|(kind, _)| *kind != "mount") {
        least = least.without_namespace(kind);
    }
    // A mount of sysfs or mqueue needs the namespace that it shows.
    least.config["mounts"] = json!([]);
    least.config["linux"]["maskedPaths"] = json!([]);
    least.config["linux"]["readonlyPaths"] = json!([]);
    let container = runtime.started("least", &least);
    for (kind, name) in TYPES {
        assert_eq!(
            container.namespace(name) == own(name),
            kind != "mount",
            "{kind}"
        );
    }
    container.end();
    runtime.assert_nothing_left();
}

#[test]
fn namespaces_are_joined_by_path() {
    covers!("config-linux/ns-path-joined");
    let runtime = runtime();
    let first = runtime.started("first", &runtime.bundle().namespace("cgroup").sleeping());
    let mut second = runtime.bundle().sleeping().without("/hostname");
    let joined = [
        ("network", "net"),
        ("ipc", "ipc"),
        ("uts", "uts"),
        ("pid", "pid"),
        ("cgroup", "cgroup"),
    ];
    for (kind, name) in joined {
        second = second.namespace_at(kind, &format!("/proc/{}/ns/{name}", first.pid));
    }
    let second = runtime.started("second", &second);
    for (kind, name) in joined {
        assert_eq!(second.namespace(name), first.namespace(name), "{kind}");
    }
    assert_ne!(second.namespace("mnt"), first.namespace("mnt"));
    // The first sees the second's processes: they share PIDs.
    let seen = first.sh("ps | grep -c 'sleep 0.05; don[e]'").ok();
    assert_eq!(seen.text(), "2");
    second.end();
    first.end();
    runtime.assert_nothing_left();
}

#[test]
fn a_user_namespace_is_joined_by_path() {
    covers!("config-linux/ns-path-joined");
    let runtime = runtime();
    let first = runtime.started(
        "first",
        &runtime.bundle().user_namespace(100_000).sleeping(),
    );
    let second = runtime
        .bundle()
        .owned_by(100_000)
        .namespace_at("user", &format!("/proc/{}/ns/user", first.pid))
        .sh("cat /proc/self/uid_map; id -u");
    let second = runtime.started("second", &second);
    assert_eq!(second.wait(), 0, "{}", second.stderr());
    let words: Vec<String> = second
        .stdout()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(words, ["0", "100000", "65536", "0"]);
    first.end();
}

#[test]
fn mappings_of_ids_are_the_configured_ones() {
    covers!("config-linux/mapping-required");
    let maps = output_of(|b| {
        b.user_namespace(100_000)
            .set(
                "/linux/uidMappings",
                json!([{"containerID": 0, "hostID": 100_000, "size": 10},
                       {"containerID": 1000, "hostID": 200_000, "size": 1}]),
            )
            .sh("cat /proc/self/uid_map /proc/self/gid_map")
    });
    let words: Vec<&str> = maps.split_whitespace().collect();
    assert_eq!(
        words,
        [
            "0", "100000", "10", "1000", "200000", "1", "0", "100000", "65536"
        ]
    );
    for missing in ["containerID", "hostID", "size"] {
        refused("linux.uidMappings", |b| {
            b.user_namespace(100_000)
                .without(&format!("/linux/uidMappings/0/{missing}"))
        });
    }
}

#[test]
fn overlapping_or_overflowing_mappings_are_refused() {
    covers!("config/invalid-refused");
    for mappings in [
        json!([{"containerID": 0, "hostID": 4_294_967_000_u32, "size": 1000}]),
        json!([{"containerID": 4_294_967_000_u32, "hostID": 100_000, "size": 1000}]),
        json!([{"containerID": 0, "hostID": 100_000, "size": 10},
               {"containerID": 5, "hostID": 200_000, "size": 10}]),
        json!([{"containerID": 0, "hostID": 100_000, "size": 0}]),
        json!([{"containerID": 0, "hostID": -1, "size": 1}]),
    ] {
        refused("linux.uidMappings", |b| {
            b.user_namespace(100_000)
                .set("/linux/uidMappings", mappings)
        });
    }
}

#[test]
fn mappings_without_a_user_namespace_are_refused() {
    refused("linux", |b| {
        b.set(
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 100_000, "size": 10}]),
        )
    });
}

#[test]
fn a_path_to_another_type_or_to_none_is_refused() {
    covers!("config-linux/ns-path-wrong-type");
    for path in [
        "/proc/self/ns/uts",
        "/etc/passwd",
        "/no/such/file",
        "/proc/self/ns",
    ] {
        refused("linux.namespaces", |b| b.namespace_at("network", path));
    }
}

#[test]
fn a_relative_path_is_refused() {
    covers!("config-linux/ns-path-absolute");
    refused("linux.namespaces", |b| {
        b.namespace_at("network", "proc/self/ns/net")
    });
}

#[test]
fn two_of_a_type_are_refused() {
    covers!("config-linux/ns-duplicate");
    refused("linux.namespaces", |b| {
        b.push("/linux/namespaces", json!({"type": "pid"}))
    });
    refused("linux.namespaces", |b| {
        b.push(
            "/linux/namespaces",
            json!({"type": "network", "path": "/proc/self/ns/net"}),
        )
    });
}

#[test]
fn a_type_that_is_missing_or_unknown_is_refused() {
    covers!("config-linux/ns-type-required");
    refused("linux.namespaces", |b| {
        b.push("/linux/namespaces", json!({"path": "/proc/self/ns/net"}))
    });
    refused("linux.namespaces", |b| {
        b.push("/linux/namespaces", json!({"type": "nonesuch"}))
    });
}

#[test]
fn clocks_of_a_time_namespace_are_offset() {
    let host = std::fs::read_to_string("/proc/uptime").unwrap();
    let host: f64 = host.split(' ').next().unwrap().parse().unwrap();
    let output = output_of(|b| {
        b.namespace("time")
            .set(
                "/linux/timeOffsets",
                json!({"boottime": {"secs": 86_400, "nanosecs": 5}, "monotonic": {"secs": 3600}}),
            )
            .sh("cat /proc/uptime; cat /proc/self/timens_offsets")
    });
    let inside: f64 = output.split(' ').next().unwrap().parse().unwrap();
    assert!((86_400.0..86_500.0).contains(&(inside - host)), "{output}");
    let words: Vec<&str> = output.split_whitespace().collect();
    assert!(
        words.windows(3).any(|w| w == ["monotonic", "3600", "0"]),
        "{output}"
    );
    assert!(
        words.windows(3).any(|w| w == ["boottime", "86400", "5"]),
        "{output}"
    );
}

#[test]
fn offsets_without_a_time_namespace_or_of_no_clock_are_refused() {
    refused("linux.timeOffsets", |b| {
        b.set("/linux/timeOffsets", json!({"boottime": {"secs": 1}}))
    });
    refused("linux.timeOffsets", |b| {
        b.namespace("time")
            .set("/linux/timeOffsets", json!({"sundial": {"secs": 1}}))
    });
}

#[test]
fn a_network_namespace_has_a_loopback_of_its_own() {
    let links = output_of(|b| b.args(&["ip", "-o", "link"]));
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains("lo:"), "{links}");
}

#[test]
fn processes_of_the_host_are_not_seen() {
    let seen = output_of(|b| b.sh("ls /proc > /tmp/seen; grep -c '^[0-9]*$' /tmp/seen"));
    // The shell and ls.
    assert_eq!(seen.trim(), "2");
}

#[test]
fn a_namespace_that_a_file_holds_is_joined() {
    covers!("config-linux/ns-path-joined");
    let runtime = runtime();
    // A network namespace that only a sleeping process of ours holds.
    let mut holder = Command::new("unshare")
        .args(["-n", "sleep", "100"])
        .spawn()
        .unwrap();
    let pid = holder.id();
    berth_testkit::soon("unshare", || {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        (link.to_str()? != own("net")).then_some(())
    });
    let container = runtime.started(
        "one",
        &runtime
            .bundle()
            .namespace_at("network", &format!("/proc/{pid}/ns/net"))
            .sleeping(),
    );
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(container.namespace("net"), theirs.to_str().unwrap());
    container.end();
    holder.kill().unwrap();
    holder.wait().unwrap();
}
