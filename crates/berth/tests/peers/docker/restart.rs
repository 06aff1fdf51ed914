//! Containers that outlive the daemon: the runtime keeps no daemon of its own to lose.

use super::Docker;

#[test]
fn docker_finds_its_containers_again() {
    let mut docker = Docker::start_with(true);
    docker.start_container("ship", &[]);
    docker.start_container("boat", &[]);
    docker.ok(&["pause", "boat"]);
    let pid = docker.inspect("ship", "{{.State.Pid}}");
    docker.daemon.stop(&docker.world);
    docker.start_again();
    assert_eq!(
        docker.inspect("ship", "{{.State.Status}} {{.State.Pid}}"),
        format!("running {pid}")
    );
    assert_eq!(docker.exec("ship", "echo here"), "here");
    assert_eq!(docker.inspect("boat", "{{.State.Status}}"), "paused");
    docker.ok(&["unpause", "boat"]);
    docker.ok(&["stop", "ship", "boat"]);
    assert_eq!(docker.inspect("ship", "{{.State.ExitCode}}"), "0");
    docker.finish();
}
