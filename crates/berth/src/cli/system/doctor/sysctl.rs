//! Limits of the kernel that many containers run into.

use super::Patient;
use super::finding::{Finding, State};

const AREA: &str = "Limits";

/// A limit: its sysctl, what is enough, what less costs.
type Limit = (&'static str, u64, &'static str);

const LIMITS: [Limit; 7] = [
    (
        "user/max_user_namespaces",
        1_000,
        "no more user namespaces beyond that",
    ),
    (
        "user/max_pid_namespaces",
        1_000,
        "no more containers beyond that",
    ),
    (
        "kernel/pid_max",
        32_768,
        "no more processes and threads on the host beyond that",
    ),
    (
        "fs/inotify/max_user_instances",
        128,
        "programs that watch files fail with \"too many open files\"",
    ),
    (
        "fs/inotify/max_user_watches",
        8_192,
        "programs that watch files fail with \"no space left on device\"",
    ),
    (
        "kernel/keys/root_maxkeys",
        1_000,
        "containers beyond that do not start: each has a keyring",
    ),
    (
        "kernel/keys/maxkeys",
        200,
        "a user's containers beyond that do not start: each has a keyring",
    ),
];

/// One value of /proc/sys, without the line break.
pub(super) fn read(name: &str) -> Option<String> {
    // by path: procfs
    let text = std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    Some(text.trim_end().to_owned())
}

pub(super) fn look(_patient: &Patient<'_>) -> Vec<Finding> {
    let limits = LIMITS.iter().filter_map(|(name, enough, costs)| {
        let value = read(name)?;
        let dotted = name.replace('/', ".");
        let is_fine = value.parse::<u64>().map_or(true, |value| value >= *enough);
        let remedy = format!("sysctl -w {dotted}={enough}");
        Some(Finding::ok(AREA, dotted, value).unless(is_fine, State::Warning, costs, &remedy))
    });
    limits.chain(conntrack()).chain(files()).collect()
}

/// The table of connections; a full one drops packets.
fn conntrack() -> Option<Finding> {
    let most: u64 = read("net/netfilter/nf_conntrack_max")?.parse().ok()?;
    let used: u64 = read("net/netfilter/nf_conntrack_count")?.parse().ok()?;
    let finding = Finding::ok(AREA, "connections tracked", format!("{used} of {most}"));
    Some(finding.unless(
        used < most / 10 * 8,
        State::Warning,
        "new connections are dropped when the table is full",
        &format!("sysctl -w net.netfilter.nf_conntrack_max={}", most * 2),
    ))
}

/// What our own processes inherit.
fn files() -> Option<Finding> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let hard = limit.maximum?;
    let finding = Finding::ok(AREA, "open files of a process", hard.to_string());
    Some(finding.unless(
        hard >= 4_096,
        State::Warning,
        "a container cannot have --ulimit nofile beyond that",
        "raise nofile in /etc/security/limits.conf, and log in again",
    ))
}
