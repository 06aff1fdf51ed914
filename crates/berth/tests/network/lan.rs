//! Networks on an interface of the host: macvlan and ipvlan. The other end of the interface is another
//! host, as on a switch.

use crate::world::World;

/// What a program on a host, or in a container by `exec`, hears at port 80 of an address.
const ASK: &str = "busybox nc -w 5 192.0.2.10 80 </dev/null";

/// Whether this kernel has such links; `up0` is there.
fn has(world: &World, driver: &str) -> bool {
    let line = format!(
        "ip link add probe0 link up0 type {driver} 2>/dev/null && ip link delete probe0 && echo yes || true"
    );
    world.host(&line) == "yes"
}

fn make(world: &World, driver: &str) {
    world.ok(&[
        "network",
        "create",
        "-d",
        driver,
        "--subnet",
        "192.0.2.0/24",
        "--gateway",
        "192.0.2.1",
        "-o",
        "parent=up0",
        "lan",
    ]);
}

fn containers_are_hosts_of_the_lan(driver: &str) {
    let Some(world) = World::new() else { return };
    let lan = world.neighbour();
    if !has(&world, driver) {
        make(&world, driver);
        let done = world.run(&["run", "--rm", "--network", "lan", "host", "true"]);
        assert_eq!(done.code, 125, "{done:?}");
        assert!(done.err.contains(driver), "{done:?}");
        assert_eq!(world.interfaces(), ["up0"]);
        berth_testkit::skip(&format!("the kernel has no {driver}"));
        return;
    }
    make(&world, driver);
    let run = ["run", "-d", "--name", "web", "--network", "lan"];
    let server = ["host", "busybox", "nc", "-ll", "-p80", "-e", "echo", "web"];
    world.ok(&[&run[..], &["--ip", "192.0.2.10"], &server].concat());
    world.ok(&[
        "run",
        "-d",
        "--name",
        "peer",
        "--network",
        "lan",
        "host",
        "sleep",
        "1000",
    ]);
    let inside = |line: &str| world.run(&["exec", "peer", "sh", "-c", line]);
    world.wait("an answer to a neighbour", || {
        inside(ASK).out.trim() == "web"
    });
    let named = ASK.replace("192.0.2.10", "web");
    assert_eq!(inside(&named).out.trim(), "web");
    // From elsewhere on the LAN, and back.
    assert_eq!(lan.host(ASK), "web");
    let answered =
        inside("ping -c 1 -W 5 192.0.2.1 >/dev/null 2>&1 || busybox ping -c 1 -W 5 192.0.2.1");
    assert_eq!(answered.code, 0, "{answered:?}");
    let addresses = world.ok(&["inspect", "-f", "{{json .NetworkSettings.Networks}}", "web"]);
    assert!(addresses.contains("192.0.2.10"), "{addresses}");
    // It needs nothing of the packet filter, and leaves nothing.
    assert_eq!(world.host("nft list ruleset"), "");
    world.ok(&["rm", "-f", "web", "peer"]);
    world.ok(&["network", "rm", "lan"]);
    world.wait_for_interfaces(1);
    assert_eq!(world.interfaces(), ["up0"]);
}

#[test]
fn macvlan() {
    containers_are_hosts_of_the_lan("macvlan");
}

#[test]
fn ipvlan() {
    containers_are_hosts_of_the_lan("ipvlan");
}

#[test]
fn a_parent_that_is_not_there_is_said() {
    let Some(world) = World::new() else { return };
    make(&world, "macvlan");
    let done = world.run(&["run", "--rm", "--network", "lan", "host", "true"]);
    assert_eq!(done.code, 125, "{done:?}");
    assert!(done.err.contains("up0"), "{done:?}");
    assert_eq!(world.leases("lan"), Vec::<String>::new());
}
