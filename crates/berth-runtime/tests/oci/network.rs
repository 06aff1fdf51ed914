//! Network devices that move into the container, out of a namespace of the test's own.

use berth_testkit::{Bundle, Output, Runtime, covers};
use serde_json::{Value, json};

use crate::runtime;

/// A pair of interfaces with addresses, up.
const PAIR: &str = "ip link add vh type veth peer name vp && ip addr add 10.77.0.2/24 dev vh && \
    ip -6 addr add fd77::2/64 dev vh nodad && ip link set vh up && ip link set vp up && \
    ip link set lo up";

/// Runs the bundle's container in a fresh network namespace with the pair.
fn run(runtime: &Runtime, bundle: &Bundle, devices: Value) -> Output {
    let mut config = bundle.config.clone();
    config["linux"]["netDevices"] = devices;
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let path = bundle.path().to_str().unwrap();
    let script = format!("exec unshare -n -- sh -c '{PAIR} && exec \"$@\"' sh \"$@\"");
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    runtime.finish(&mut command)
}

const SHOW: &str = "ip -o link; ip -o addr";

#[test]
fn a_device_moves_with_its_addresses_and_is_up() {
    covers!(
        "config-linux/net-device-available",
        "config-linux/net-device-addresses",
        "config-linux/net-device-up",
    );
    let runtime = runtime();
    let bundle = runtime.bundle().sh(SHOW);
    let said = run(&runtime, &bundle, json!({"vh": {"name": "eth5"}}))
        .ok()
        .out;
    assert!(said.contains("eth5"), "{said}");
    assert!(!said.contains(" vp:") && !said.contains(" vh:"), "{said}");
    assert!(
        said.contains("10.77.0.2/24") && said.contains("fd77::2/64"),
        "{said}"
    );
    let flags = said.lines().find(|line| line.contains("eth5")).unwrap();
    assert!(flags.contains("UP"), "{said}");
    let kept = runtime.bundle().sh(SHOW);
    let said = run(&runtime, &kept, json!({"vh": {}})).ok().out;
    assert!(said.contains(" vh"), "{said}");
    runtime.assert_nothing_left();
}

#[test]
fn the_kernel_numbers_a_template() {
    covers!("config-linux/net-device-template");
    let runtime = runtime();
    let bundle = runtime.bundle().sh(SHOW);
    let said = run(&runtime, &bundle, json!({"vh": {"name": "eth%d"}}))
        .ok()
        .out;
    assert!(said.contains("eth0"), "{said}");
}

#[test]
fn a_device_that_cannot_move_is_refused() {
    covers!(
        "config-linux/net-device-checked",
        "config-linux/net-device-name-taken"
    );
    let runtime = runtime();
    for devices in [
        json!({"vh": {"name": "lo"}}),
        json!({"vh": {"name": "same"}, "vp": {"name": "same"}}),
        json!({"nonesuch": {}}),
        json!({"lo": {}}),
        json!({"vh": {"name": "a-name-that-is-too-long"}}),
        json!({"vh": {"name": "a/b"}}),
        json!({"": {}}),
    ] {
        let message = run(&runtime, &runtime.bundle().sh(SHOW), devices).refused();
        assert!(message.contains("linux.netDevices"), "{message}");
        runtime.assert_nothing_left();
    }
    let bundle = runtime.bundle().without_namespace("network").sh(SHOW);
    let bundle = bundle.without("/mounts/5");
    let message = run(&runtime, &bundle, json!({"vh": {"name": "eth5"}})).refused();
    assert!(message.contains("linux.netDevices"), "{message}");
}

#[test]
fn a_device_stays_where_it_was_moved_and_as_it_was_left() {
    covers!(
        "config-linux/net-device-not-managed",
        "config-linux/net-device-not-moved-back"
    );
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .all_capabilities()
        .sh("ip addr del 10.77.0.2/24 dev eth5; ip link set eth5 down");
    let mut config = bundle.config.clone();
    config["linux"]["netDevices"] = json!({"vh": {"name": "eth5"}});
    let path = bundle.path().to_str().unwrap();
    // The namespace outlives the container: a process of the script's holds it.
    let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    namespaces.push(json!({"type": "network", "path": "/proc/HOLDER/ns/net"}));
    std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    let script = format!(
        "exec unshare -n -- sh -c '{PAIR}; unshare -n sleep 100 & holder=$!; \
         while [ $(readlink /proc/$holder/ns/net) = $(readlink /proc/self/ns/net) ]; do \
         sleep 0.02; done; sed -i \"s/HOLDER/$holder/\" {path}/config.json; \
         \"$@\"; code=$?; nsenter -t $holder -n ip -o link; nsenter -t $holder -n ip -o addr; \
         echo outside; ip -o link; kill $holder; exit $code' sh \"$@\""
    );
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    let said = runtime.finish(&mut command).ok().out;
    let (inside, outside) = said.split_once("outside").unwrap();
    let line = inside.lines().find(|line| line.contains("eth5")).unwrap();
    assert!(line.contains("state DOWN"), "{said}");
    assert!(!inside.contains("10.77.0.2"), "{said}");
    assert!(
        !outside.contains("vh") && !outside.contains("eth5"),
        "{said}"
    );
    runtime.assert_nothing_left();
}
