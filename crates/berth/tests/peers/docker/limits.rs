//! Limits at the start and while running, and what is said of their use.

use super::Docker;
use crate::image::BUSYBOX;

const MEMORY: [&str; 2] = ["memory.limit_in_bytes", "memory.max"];
const PIDS: [&str; 1] = ["pids.max"];

#[test]
fn docker_limits() {
    let docker = Docker::start();
    let flags = [
        "--memory=64m",
        "--cpus=0.5",
        "--pids-limit=20",
        "--cpuset-cpus=0",
    ];
    let id = docker.start_container("ship", &flags);
    let control = |files: &[&str]| docker.world.control(&id, files);
    let mebibyte = 1024 * 1024;
    assert_eq!(control(&MEMORY), (64 * mebibyte).to_string());
    assert_eq!(
        control(&["cpu.cfs_quota_us", "cpu.max"]).split(' ').next(),
        Some("50000")
    );
    assert_eq!(control(&PIDS), "20");
    assert_eq!(control(&["cpuset.cpus"]), "0");
    let allowed = docker.exec("ship", "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(allowed, "Cpus_allowed_list:\t0", "of a further process");

    let many = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done";
    let refused = docker.run(&["exec", "ship", "sh", "-c", many]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("fork"), "{refused:?}");

    let update = [
        "--memory=96m",
        "--memory-swap=-1",
        "--cpus=1.5",
        "--pids-limit=30",
    ];
    docker.ok(&[&["update"], &update[..], &["ship"]].concat());
    assert_eq!(control(&MEMORY), (96 * mebibyte).to_string());
    assert_eq!(
        control(&["cpu.cfs_quota_us", "cpu.max"]).split(' ').next(),
        Some("150000")
    );
    assert_eq!(control(&PIDS), "30");
    docker.ok(&["update", "--cpu-shares=512", "ship"]);
    assert_eq!(control(&MEMORY), (96 * mebibyte).to_string(), "kept");
    let shares = control(&["cpu.shares", "cpu.weight"]);
    assert!(["512", "20"].contains(&shares.as_str()), "{shares}");

    let template = "{{.MemUsage}}|{{.PIDs}}|{{.CPUPerc}}";
    let stats = docker.ok(&["stats", "--no-stream", "--format", template, "ship"]);
    assert!(stats.contains("/ 96MiB|"), "{stats}");
    let pids = stats.split('|').nth(1).and_then(|text| text.parse().ok());
    assert!(pids.is_some_and(|pids: u32| pids >= 2), "{stats}");
    docker.finish();
}

#[test]
fn docker_reports_lack_of_memory() {
    let docker = Docker::start();
    let flags = [
        "run",
        "--net=none",
        "--name=ship",
        "--memory=16m",
        "--memory-swap=16m",
    ];
    let done = docker.run(&[&flags[..], &[BUSYBOX, "tail", "/dev/zero"]].concat());
    assert_eq!(done.code, 137, "{done:?}");
    assert_eq!(docker.inspect("ship", "{{.State.OOMKilled}}"), "true");

    let flags = ["--memory=16m", "--memory-swap=16m"];
    docker.start_container("boat", &flags);
    let done = docker.run(&["exec", "boat", "tail", "/dev/zero"]);
    assert_eq!(done.code, 137, "{done:?}");
    assert_eq!(docker.inspect("boat", "{{.State.Status}}"), "running");
    docker.finish();
}
