//! Fixtures of other engines' files.

use berth_map::lookup;
use berth_map::model::{Container, World};
use serde_json::json;

use super::{Fake, FakeHost, id, pid};

/// A host with an init, and these.
pub fn host(processes: &[Fake]) -> FakeHost {
    let init = Fake::new(&[1], 0, "systemd");
    FakeHost::new(&[&[init], processes].concat())
}

pub fn container<'w>(world: &'w World, name: &str) -> &'w Container {
    let index = world.find_container(name);
    let all: Vec<_> = world
        .containers()
        .iter()
        .map(Container::display_name)
        .collect();
    world
        .container(index.unwrap_or_else(|e| panic!("{e}: {all:?}, {:?}", world.warnings())))
        .unwrap()
}

/// `NAME:PID` of a process, by the whole host and by the small snapshot, which agree.
pub fn answer(host: &FakeHost, number: u32) -> String {
    let large = host
        .world()
        .resolve(pid(number))
        .unwrap()
        .answer
        .to_string();
    let found = lookup::find(&host.sources(), &number.to_string().parse().unwrap()).unwrap();
    assert_eq!(found.resolution().unwrap().answer.to_string(), large);
    let back = lookup::find(&host.sources(), &large.parse().unwrap()).unwrap();
    assert_eq!(back.pid.get(), number, "{large}");
    large
}

pub fn docker_config(digit: char, name: &str, pid: u32) -> String {
    json!({
        "ID": id(digit),
        "Name": format!("/{name}"),
        "State": {"Running": true, "Paused": false, "Pid": pid, "StartedAt": "2026-11-25T21:27:09Z"},
        "Config": {"Image": "nginx:1.27", "Labels": null},
        "Driver": "overlay2",
    })
    .to_string()
}

pub fn docker_file(digit: char) -> String {
    format!("var/lib/docker/containers/{}/config.v2.json", id(digit))
}

pub fn docker_process(digit: char, pids: &[u32], base: u64) -> Fake {
    let cgroup = format!("/system.slice/docker-{}.scope", id(digit));
    Fake::new(pids, 1, "nginx").isolated(base).cgroup(&cgroup)
}

pub fn answer_whole(world: &World, number: u32) -> String {
    world.resolve(pid(number)).unwrap().answer.to_string()
}
