//! The map of dockerd's containers.

use berth_map::model::{Confidence, EvidenceKind};

use super::Docker;
use crate::image::BUSYBOX;
use crate::map::{Expected, Map};
use crate::support::eventually;

#[test]
fn the_map_knows_dockers_containers() {
    let docker = Docker::start();
    let name = format!("mapped-{}", std::process::id());
    let side = format!("{name}-side");
    let id = docker.start_container(&name, &[]);
    docker.ok(&["exec", "-d", &name, "sleep", "1000"]);
    let pid = format!("--pid=container:{name}");
    docker.start_container(&side, &[&pid]);
    eventually("the session to run", || {
        docker.exec(&name, "ps | grep -c '[s]leep 1000' || true") == "1"
    });

    let map = Map::read();
    let both = Expected {
        evidence: &[EvidenceKind::StateFile, EvidenceKind::CgroupPath],
        confidence: Confidence::Certain,
        image: Some(BUSYBOX),
        pod: None,
    };
    let own = map.expect(&format!("docker/{name}"), &both);
    let other = map.expect(&format!("docker/{side}"), &both);
    assert_eq!(map.find(&format!("docker/{id}")).0, own);
    assert_eq!(map.find(&format!("docker/{}", &id[..12])).0, own);
    assert_eq!(map.world.container(own).unwrap().id, id);
    assert_eq!(map.comms(own), ["sh", "sleep", "sleep"]);
    // In the PID namespace of the first, and yet the second's.
    assert_eq!(map.comms(other), ["sh", "sleep"]);
    for (index, name) in [(own, &name), (other, &side)] {
        map.assert_init(index, &docker.inspect(name, "{{.State.Pid}}"));
        map.assert_outside(index, "containerd-shim");
    }
    let init = map.world.container(own).unwrap().init.unwrap();
    let init = map.world.process(init).unwrap();
    let dockerds = |kind| docker.world.namespace(kind);
    let own_kinds = init
        .namespaces
        .iter()
        .filter(|id| id.to_string() != dockerds(id.kind.as_str()));
    for namespace in own_kinds {
        let owner = map.world.container_of_namespace(namespace);
        assert_eq!(owner, Some(own), "{namespace}");
    }

    // Where dockerd itself lives, as a user there would ask.
    let berth = env!("CARGO_BIN_EXE_berth");
    let asked = docker
        .world
        .run(&[berth, "pid", &format!("docker/{name}:1")]);
    assert_eq!(
        asked.out.trim_end(),
        docker.inspect(&name, "{{.State.Pid}}"),
        "{asked:?}"
    );
    let told = docker.world.run(&[berth, "map", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let containers = document["containers"].as_array().unwrap();
    let found = containers.iter().find(|c| c["id"] == id.as_str()).unwrap();
    assert_eq!(found["name"], name.as_str());
    assert_eq!(found["engine"], "docker");
    assert_eq!(found["image"], BUSYBOX);
    assert_eq!(found["confidence"], "certain");
    docker.finish();
}
