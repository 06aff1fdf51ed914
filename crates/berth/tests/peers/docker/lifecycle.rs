//! How containers end, stand still, begin again, and how dockerd learns of it.

use std::time::{Duration, Instant};

use super::Docker;
use crate::image::BUSYBOX;
use crate::support::eventually;

#[test]
fn docker_stops_and_kills() {
    let docker = Docker::start();
    let shell = |name: &str, script: &str| {
        let flags = ["run", "-d", "--net=none", "--name", name];
        docker.ok(&[&flags[..], &[BUSYBOX, "sh", "-c", script]].concat());
        eventually("the trap to be set", || {
            docker.run(&["logs", name]).out.contains("ready")
        });
    };
    let waiting = "echo ready; while :; do sleep 0.05; done";
    let code = |name| docker.inspect(name, "{{.State.Status}} {{.State.ExitCode}}");

    shell("polite", &format!("trap 'exit 42' TERM; {waiting}"));
    docker.ok(&["stop", "-t", "30", "polite"]);
    assert_eq!(code("polite"), "exited 42");

    // PID 1 without a handler does not get SIGTERM at all.
    shell("deaf", waiting);
    let before = Instant::now();
    docker.ok(&["stop", "-t", "1", "deaf"]);
    assert!(before.elapsed() >= Duration::from_secs(1), "the grace");
    assert_eq!(code("deaf"), "exited 137");

    shell("signalled", &format!("trap 'echo heard' USR1; {waiting}"));
    docker.ok(&["kill", "-s", "USR1", "signalled"]);
    eventually("the signal", || {
        docker.ok(&["logs", "signalled"]).contains("heard")
    });
    docker.ok(&["kill", "signalled"]);
    eventually("the end", || code("signalled") == "exited 137");
    let refused = docker.run(&["kill", "signalled"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.err.contains("is not running"), "{refused:?}");

    shell("removed", waiting);
    docker.ok(&["rm", "-f", "removed"]);

    // The same container, from its root as it was left.
    docker.ok(&["start", "polite"]);
    assert!(code("polite").starts_with("running"));
    docker.ok(&["restart", "-t", "5", "polite"]);
    assert!(code("polite").starts_with("running"));
    docker.finish();
}

/// On a hybrid host either may hold the processes.
const FREEZERS: &[&str] = &["freezer.state", "cgroup.freeze"];

fn is_frozen(state: &str) -> bool {
    ["FROZEN", "1"].contains(&state)
}

#[test]
fn docker_pauses() {
    let docker = Docker::start();
    let script = "while :; do echo x >>/tmp/ticks; sleep 0.02; done";
    let flags = ["run", "-d", "--net=none", "--name", "ship", BUSYBOX];
    let id = docker.ok(&[&flags[..], &["sh", "-c", script]].concat());
    let ticks = docker
        .world
        .seen(&docker.inspect("ship", "{{.GraphDriver.Data.UpperDir}}"))
        .join("tmp/ticks");
    let count = || std::fs::metadata(&ticks).map_or(0, |file| file.len());
    eventually("the first tick", || count() > 0);

    docker.ok(&["pause", "ship"]);
    assert_eq!(docker.inspect("ship", "{{.State.Status}}"), "paused");
    let state = docker.world.controls(&id, FREEZERS);
    assert!(state.iter().any(|text| is_frozen(text)), "{state:?}");
    let frozen = count();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(count(), frozen, "ticks of a paused container");
    let refused = docker.run(&["exec", "ship", "true"]);
    assert!(refused.err.contains("paused"), "{refused:?}");

    docker.ok(&["unpause", "ship"]);
    assert_eq!(docker.inspect("ship", "{{.State.Status}}"), "running");
    eventually("the next tick", || count() > frozen);
    let state = docker.world.controls(&id, FREEZERS);
    assert!(!state.iter().any(|text| is_frozen(text)), "{state:?}");

    docker.ok(&["pause", "ship"]);
    docker.ok(&["rm", "-f", "ship"]);
    docker.finish();
}

#[test]
fn docker_restarts_and_probes() {
    let docker = Docker::start();
    let failing = ["--restart=on-failure:2", BUSYBOX, "sh", "-c", "exit 3"];
    docker.ok(&[
        &["run", "-d", "--net=none", "--name", "failing"],
        &failing[..],
    ]
    .concat());
    let probe = [
        "--health-cmd=test -e /tmp/healthy",
        "--health-interval=200ms",
        "--health-retries=1",
    ];
    docker.start_container("probed", &probe);
    let health = |expected: &str| {
        eventually(expected, || {
            docker.inspect("probed", "{{.State.Health.Status}}") == expected
        });
    };
    health("unhealthy");
    docker.exec("probed", "touch /tmp/healthy");
    health("healthy");

    eventually("the second restart to fail", || {
        let template = "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}";
        docker.inspect("failing", template) == "2 exited 3"
    });

    docker.start_container("killed", &["--restart=always"]);
    let pid = docker.inspect("killed", "{{.State.Pid}}");
    assert_eq!(docker.world.run(&["kill", "-9", &pid]).code, 0);
    eventually("the restart", || {
        let template = "{{.RestartCount}} {{.State.Status}}";
        docker.inspect("killed", template) == "1 running"
    });
    docker.finish();
}
