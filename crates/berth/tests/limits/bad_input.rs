//! What cannot be had is said in one line, and leaves nothing.

use crate::support::World;

/// Flags, and what is said of them.
const REFUSED: &[(&str, &str)] = &[
    (
        "--cpus 1 --cpu-quota 5000",
        "--cpus cannot be combined with --cpu-quota",
    ),
    (
        "--cpus 1 --cpu-period 5000",
        "--cpus cannot be combined with --cpu-period",
    ),
    (
        "-m 64m --memory-swap 32m",
        "--memory-swap 33554432 is less than --memory 67108864",
    ),
    ("--memory-swap 64m", "--memory-swap needs --memory"),
    (
        "-m 64m --memory-reservation 65m",
        "--memory-reservation 68157440 is more than --memory 67108864",
    ),
    ("-m 1m", "the memory limit 1048576 is too low"),
    (
        "--memory-reservation 1m",
        "the memory limit 1048576 is too low",
    ),
    (
        "--cpuset-cpus 4096",
        "--cpuset-cpus \"4096\" cannot be had: this host gives containers the CPUs 0",
    ),
    ("--cpuset-cpus 0-", "give numbers and ranges like 0-3,7"),
    (
        "--cpuset-mems 4096",
        "this host gives containers the memory nodes 0",
    ),
    ("--cpu-period 5", "the CPU period of 5 us is out of range"),
    ("--cpu-quota 5", "the CPU quota of 5 us is out of range"),
    ("--cpu-quota -5", "invalid value \"-5\" for --cpu-quota"),
    ("--blkio-weight 5", "a weight is a number from 10 to 1000"),
    ("--memory-swappiness 101", "give a number from 0 to 100"),
    ("--oom-score-adj 1001", "give a number from -1000 to 1000"),
    (
        "--pids-limit 99999999",
        "the process limit of 99999999 is out of range",
    ),
    (
        "--device-read-bps /dev/none:1m",
        "cannot use the device /dev/none: the host has none",
    ),
    (
        "--device-read-bps /dev/null:1m",
        "/dev/null is no block device",
    ),
    ("--device-write-iops /dev/null", "such as /dev/sda:1000"),
    (
        "--device /dev/none",
        "cannot use the device /dev/none: the host has none",
    ),
    ("--device /etc/passwd", "/etc/passwd is no device"),
    ("--device /dev/null:/x:rwx", "\"rwx\" is no access"),
    (
        "--device vendor.com/class=none",
        "cannot use the device vendor.com/class=none: ",
    ),
    ("--gpus all", "cannot use the device nvidia.com/gpu=all: "),
    ("--gpus none", "give all, a number of GPUs"),
    ("--device-cgroup-rule x", "give TYPE MAJOR:MINOR ACCESS"),
    (
        "--sysctl kernel.pid_max=5",
        "it is one of the whole host, not of a namespace",
    ),
    (
        "--sysctl net.core.somaxconn=5 --net host",
        "it belongs to the network namespace, which is the host's",
    ),
    (
        "--sysctl kernel.msgmax=5 --ipc host",
        "it belongs to the IPC namespace, which is the host's",
    ),
    ("--sysctl kernel.hostname=x", "give --hostname instead"),
    ("--sysctl ../x=5", "it is not the name of a sysctl"),
    ("--sysctl x", "give NAME=VALUE"),
];

#[test]
fn conflicts_and_what_this_host_has_not() {
    let world = World::new();
    for (flags, said) in REFUSED {
        let err = world.fails(125, &format!("run --rm {flags} host true"));
        assert!(err.contains(said), "{flags}: {err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    assert!(world.berth.ids().is_empty());
}

#[test]
fn a_sysctl_that_the_kernel_has_not() {
    let world = World::new();
    let err = world.fails(125, "run --rm --sysctl net.none.such=5 host true");
    assert!(err.contains("sysctl"), "{err}");
    assert!(world.berth.ids().is_empty());
}

#[test]
fn update_has_nothing_to_do_or_nobody_to_do_it_to() {
    let world = World::new();
    world.ok("create --name a host true");
    let err = world.fails(125, "update a");
    assert!(err.contains("nothing to change"), "{err}");
    let err = world.fails(1, "update --memory 64m none");
    assert!(err.contains("no such container: none"), "{err}");
    let err = world.fails(1, "update --memory 1m a");
    assert!(err.contains("too low"), "{err}");
    for flags in ["--memory-swap 64m", "--cpuset-cpus 4096", "--cpu-period 1"] {
        world.fails(1, &format!("update {flags} a"));
    }
    assert_eq!(world.inspect("a", "{{.HostConfig.Memory}}"), "0");
}
