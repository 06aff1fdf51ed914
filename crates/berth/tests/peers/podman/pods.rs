//! Pods: an infra container, and others in its namespaces.

use super::Podman;
use crate::image::BUSYBOX;
use crate::support::eventually;

#[test]
fn podman_pods_share_namespaces() {
    let podman = Podman::new();
    let parent = format!("--cgroup-parent={}", podman.world.cgroup_parent());
    podman.ok(&[
        "pod",
        "create",
        "--name=quay",
        "--share=pid,ipc,net,uts",
        "--hostname=harbour",
        "--network=none",
        &parent,
    ]);
    let wait = "trap 'exit 6' TERM; while :; do sleep 3600 & wait $!; done";
    for name in ["one", "two"] {
        let flags = ["run", "--detach", "--pod=quay", "--name", name, BUSYBOX];
        podman.ok(&[&flags[..], &["sh", "-c", wait]].concat());
    }
    for kind in ["pid", "ipc", "net", "uts", "mnt"] {
        let script = format!("readlink /proc/self/ns/{kind}");
        let (one, two) = (podman.exec("one", &script), podman.exec("two", &script));
        assert_eq!(one == two, kind != "mnt", "{kind}: {one} and {two}");
        assert_ne!(one, podman.world.namespace(kind));
    }
    let first = podman.exec("one", "tr '\\0' ' ' </proc/1/cmdline; hostname");
    assert!(first.contains("trap exit TERM INT"), "{first}");
    assert!(first.ends_with("harbour"), "{first}");
    // Not as detached sessions, for which podman's stop would wait.
    podman.exec("two", "sleep 1234 >/dev/null 2>&1 &");
    eventually("the process of the other", || {
        podman.exec("one", "ps | grep -c '[s]leep 1234' || true") == "1"
    });
    podman.exec("two", "nc -l -p 80 -e hostname >/dev/null 2>&1 &");
    eventually("an answer over loopback", || {
        podman.exec("one", "nc -w 5 127.0.0.1 80 </dev/null || true") == "harbour"
    });

    // The end of one container takes its own processes along, and no others.
    podman.ok(&["stop", "--time=20", "two"]);
    let code = podman.inspect("two", "{{.State.ExitCode}}");
    assert_eq!(code, "6");
    assert_eq!(
        podman.exec("one", "ps | grep -c '[s]leep 1234' || true"),
        "0"
    );

    podman.ok(&["pause", "one"]);
    assert_eq!(podman.inspect("one", "{{.State.Status}}"), "paused");
    podman.ok(&["unpause", "one"]);
    assert_eq!(podman.exec("one", "echo here"), "here");
    // First by itself: a pod's stop may end the first process of the PID namespace before it.
    podman.ok(&["stop", "--time=20", "one"]);
    assert_eq!(podman.inspect("one", "{{.State.ExitCode}}"), "6");
    podman.ok(&["pod", "stop", "--time=20", "quay"]);
    podman.ok(&["pod", "start", "quay"]);
    assert_eq!(podman.exec("one", "echo again"), "again");
    podman.finish();
}
