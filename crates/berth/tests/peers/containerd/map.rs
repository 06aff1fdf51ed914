//! The map of containerd's containers: ctr's, and a pod's.

use berth_map::model::{Confidence, EvidenceKind};

use super::Containerd;
use super::cri::{ContainerConfig, ContainerMetadata, Id, NamespaceOptions};
use super::pods::{Kubelet, NODE};
use crate::image::BUSYBOX;
use crate::map::{Expected, Map};
use crate::support::eventually;

#[test]
fn the_map_knows_ctrs_containers() {
    let containerd = Containerd::start("default");
    let name = format!("ship-{}", std::process::id());
    let done = containerd.run_container(&name, &["--detach"], &["sleep", "1000"]);
    assert_eq!(done.code, 0, "{done:?}");
    let map = Map::read();
    let called = format!("containerd/default/{name}");
    let index = map.expect(
        &called,
        &Expected {
            evidence: &[EvidenceKind::StateFile, EvidenceKind::CgroupPath],
            confidence: Confidence::Certain,
            image: None,
            pod: None,
        },
    );
    assert_eq!(map.find(&format!("containerd/{name}")).0, index);
    assert_eq!(map.comms(index), ["sleep"]);
    map.assert_owns_namespace(index);
    map.assert_outside(index, "containerd-shim");
    let list = containerd.ok(&["task", "ls"]);
    let line = list.lines().find(|line| line.starts_with(&name)).unwrap();
    map.assert_init(index, line.split_whitespace().nth(1).unwrap());
    containerd.ok(&["task", "kill", "--signal=KILL", &name]);
    eventually("the task to end", || {
        containerd.run(&["task", "delete", &name]).code == 0
    });
    containerd.ok(&["containers", "delete", &name]);
    containerd.finish();
}

#[test]
fn the_map_knows_pods() {
    let kubelet = Kubelet::start();
    let pod = format!("mapped-{}", std::process::id());
    let options = NamespaceOptions {
        network: NODE,
        ..NamespaceOptions::default()
    };
    let config = kubelet.pod_config(&pod, options);
    let sandbox = kubelet.run_pod(&config);
    let web = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "web".into() }),
        image: Some(Id { id: BUSYBOX.into() }),
        command: ["sleep", "1000"].map(str::to_owned).to_vec(),
        ..ContainerConfig::default()
    };
    let id = kubelet.run_container(&sandbox, &config, web);
    let map = Map::read();
    let expected = |image| Expected {
        evidence: &[EvidenceKind::StateFile, EvidenceKind::CgroupPath],
        confidence: Confidence::Certain,
        image,
        pod: Some((&pod, Some("default"))),
    };
    let path = format!("default/{pod}");
    let pause = map.expect(&format!("containerd/{path}"), &expected(None));
    let index = map.expect(&format!("containerd/{path}/web"), &expected(Some(BUSYBOX)));
    assert_eq!(map.find(&format!("k8s/{path}/web")).0, index);
    assert_eq!(map.find(&format!("k8s/{pod}/web")).0, index);
    assert_eq!(map.find(&format!("containerd/{}", &id[..12])).0, index);
    assert_eq!(map.world.container(index).unwrap().id, id);
    assert_eq!(map.world.container(pause).unwrap().id, sandbox);
    let uid = map.world.container(index).unwrap().pod.as_ref().unwrap();
    assert_eq!(uid.id, Some(format!("uid-{pod}")));
    assert_eq!(map.comms(index), ["sleep"]);
    // Its PIDs count where the sandbox's do, which began first.
    let shared = map.world.container(index).unwrap().pid_namespace.unwrap();
    assert_eq!(map.world.container_of_namespace(shared), Some(pause));
    kubelet.stop(&id, 0);
    kubelet.end_pod(&sandbox);
    kubelet.finish();
}
