//! The map of podman's containers and pods.

use berth_map::model::{Confidence, EvidenceKind};

use super::Podman;
use crate::image::{BUSYBOX, PAUSE};
use crate::map::{Expected, Map};

#[test]
fn the_map_knows_podmans_containers_and_pods() {
    let podman = Podman::new();
    let parent = format!("--cgroup-parent={}", podman.world.cgroup_parent());
    let solo = format!("solo-{}", std::process::id());
    let quay = format!("quay-{}", std::process::id());
    let (one, share) = (format!("{quay}-one"), "--share=pid,ipc,net,uts");
    let pod = ["pod", "create", "--name", &quay, share, "--network=none"];
    let pod_id = podman.ok(&[&pod[..], &[&parent]].concat());
    podman.ok(&[
        "run", "-d", "--pod", &quay, "--name", &one, BUSYBOX, "sleep", "1000",
    ]);
    let done = podman.run_container(&["-d", "--name", &solo], &["sleep", "1000"]);
    assert_eq!(done.code, 0, "{done:?}");
    let infra = podman.ok(&["pod", "inspect", "--format={{.InfraContainerID}}", &quay]);

    let map = Map::read();
    let expected = |image, pod| Expected {
        evidence: &[EvidenceKind::StateFile, EvidenceKind::CgroupPath],
        confidence: Confidence::Certain,
        image: Some(image),
        pod,
    };
    let in_pod = Some((quay.as_str(), None));
    let alone = map.expect(&format!("podman/{solo}"), &expected(BUSYBOX, None));
    let member = map.expect(&format!("podman/{one}"), &expected(BUSYBOX, in_pod));
    let first = map.expect(&format!("podman/{infra}"), &expected(PAUSE, in_pod));
    for (index, name) in [(alone, &solo), (member, &one), (first, &infra)] {
        map.assert_init(index, &podman.inspect(name, "{{.State.Pid}}"));
        map.assert_outside(index, "conmon");
        assert_eq!(
            map.world.container(index).unwrap().id,
            podman.inspect(name, "{{.ID}}")
        );
    }
    let pod = map.world.container(member).unwrap().pod.as_ref().unwrap();
    assert_eq!(pod.id, Some(pod_id));
    map.assert_owns_namespace(alone);
    // The pod's PID namespace is its infra container's, whoever lives in it.
    assert_eq!(map.comms(member), ["sleep"]);
    let shared = map.world.container(member).unwrap().pid_namespace.unwrap();
    assert_eq!(map.world.container_of_namespace(shared), Some(first));
    podman.finish();
}
