//! Resource limits of the process.

use berth_testkit::covers;
use serde_json::{Value, json};

use crate::{output_of, refused};

/// The soft and hard limit of a line of /proc/self/limits.
fn limit(limits: &str, name: &str) -> (String, String) {
    let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
    let mut words = line[name.len()..].split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

#[test]
fn limits_inside_are_the_configured_ones() {
    covers!(
        "config/rlimit-soft",
        "config/rlimit-hard",
        "config/rlimit-readable"
    );
    let resources = [
        ("CPU", "Max cpu time"),
        ("FSIZE", "Max file size"),
        ("DATA", "Max data size"),
        ("STACK", "Max stack size"),
        ("CORE", "Max core file size"),
        ("RSS", "Max resident set"),
        ("NPROC", "Max processes"),
        ("NOFILE", "Max open files"),
        ("MEMLOCK", "Max locked memory"),
        ("AS", "Max address space"),
        ("LOCKS", "Max file locks"),
        ("SIGPENDING", "Max pending signals"),
        ("MSGQUEUE", "Max msgqueue size"),
        ("NICE", "Max nice priority"),
        ("RTPRIO", "Max realtime priority"),
        ("RTTIME", "Max realtime timeout"),
    ];
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    // Lower than the caller's hard limit, since that can be done without privilege.
    let wanted: Vec<(String, u64, u64)> = resources
        .iter()
        .map(|(name, line)| {
            let hard = limit(&own, line).1.parse().unwrap_or(u64::MAX);
            let hard = hard.min(1 << 40);
            (format!("RLIMIT_{name}"), hard / 2, hard)
        })
        .collect();
    let limits: Vec<Value> = wanted
        .iter()
        .map(|(name, soft, hard)| json!({"type": name, "soft": soft, "hard": hard}))
        .collect();
    let inside = output_of(|b| {
        b.set("/process/rlimits", json!(limits))
            .args(&["cat", "/proc/self/limits"])
    });
    for ((name, line), (_, soft, hard)) in resources.iter().zip(&wanted) {
        let expected = (soft.to_string(), hard.to_string());
        assert_eq!(limit(&inside, line), expected, "{name}");
    }
}

#[test]
fn without_a_limit_it_is_the_callers() {
    let own = std::fs::read_to_string("/proc/self/limits").unwrap();
    let inside = output_of(|b| b.args(&["cat", "/proc/self/limits"]));
    for name in ["Max cpu time", "Max file size", "Max core file size"] {
        assert_eq!(limit(&inside, name), limit(&own, name));
    }
}

#[test]
fn an_unknown_limit_is_refused() {
    covers!("config/rlimit-unknown");
    refused("process.rlimits", |b| {
        b.push(
            "/process/rlimits",
            json!({"type": "RLIMIT_LUCK", "soft": 1, "hard": 1}),
        )
    });
}

#[test]
fn two_limits_of_a_type_are_refused() {
    covers!("config/rlimit-duplicate");
    refused("process.rlimits", |b| {
        b.push(
            "/process/rlimits",
            json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0}),
        )
        .push(
            "/process/rlimits",
            json!({"type": "RLIMIT_CORE", "soft": 1, "hard": 1}),
        )
    });
}

#[test]
fn a_soft_limit_above_the_hard_one_is_refused() {
    covers!("config/invalid-refused");
    refused("process.rlimits", |b| {
        b.push(
            "/process/rlimits",
            json!({"type": "RLIMIT_CORE", "soft": 2, "hard": 1}),
        )
    });
}
