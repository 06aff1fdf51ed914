//! What of /proc and /sys a container must not see or write.

/// Paths that are covered: Docker's list as of moby 28. A path that does not exist is skipped by
/// the runtime.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that can be read but not written, Docker's list.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The fixed list and this host's own (the thermal_throttle folder of each CPU, by whose counters
/// one container watches another's load).
pub(super) fn masked(extra: &[String]) -> Vec<String> {
    MASKED
        .iter()
        .map(|path| (*path).to_owned())
        .chain(extra.iter().cloned())
        .collect()
}

pub(super) fn read_only() -> Vec<String> {
    READ_ONLY.iter().map(|path| (*path).to_owned()).collect()
}
