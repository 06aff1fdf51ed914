//! Beside firewalld, which refuses what its zones do not let through.

use super::{Ours, ask, assert_reached, make_outside, rules_with};
use crate::support::eventually;
use crate::world::{Daemon, World, need};

/// firewalld with a bus of its own.
fn start(world: &World) -> Daemon {
    // The bus ends with the world.
    let bus = "mkdir -p /run/dbus && \
               dbus-daemon --system --nopidfile --nofork </dev/null >/dev/null 2>&1 &";
    let started = world.run(&["sh", "-c", bus]);
    assert_eq!(started.code, 0, "{started:?}");
    eventually("the bus", || {
        world.seen("/run/dbus/system_bus_socket").exists()
    });
    again(world)
}

fn again(world: &World) -> Daemon {
    let mut daemon = world.daemon(&["firewalld", "--nofork", "--nopid"], &[]);
    daemon.wait_until(|| world.run(&["firewall-cmd", "--state"]).code == 0);
    daemon
}

fn tell(world: &World, words: &[&str]) {
    let done = world.run(&[&["firewall-cmd", "--quiet"], words].concat());
    assert_eq!(done.code, 0, "{words:?}: {done:?}");
}

#[test]
fn firewalld_before_and_after() {
    need("firewalld");
    need("firewall-cmd");
    let world = World::new("firewalld");
    make_outside(&world);
    let mut firewalld = start(&world);
    let ours = Ours { world: &world };
    ours.serve("web", 8080);
    assert_reached(&world, 8080, "web");
    // What containers send is a matter of the zone of their addresses or their bridge.
    assert!(!ours.reaches_outside("web"));
    let trust = ["--zone=trusted", "--add-source=10.210.0.0/15"];
    tell(&world, &trust);
    assert!(ours.reaches_outside("web"));
    assert_reached(&world, 8080, "web");
    // Its rules are made anew, without what was not written down.
    tell(&world, &["--reload"]);
    assert_reached(&world, 8080, "web");
    assert!(!ours.reaches_outside("web"));
    // It takes all there is away and comes back.
    let flushed = world.run(&["nft", "flush", "ruleset"]);
    assert_eq!(flushed.code, 0, "{flushed:?}");
    assert_reached(&world, 8080, "web");
    assert!(ours.reaches_outside("web"));
    firewalld.stop(&world);
    let _firewalld = again(&world);
    tell(&world, &trust);
    assert_reached(&world, 8080, "web");
    assert!(ours.reaches_outside("web"));
    ours.remove("web");
    assert_eq!(rules_with(&world, "berth"), Vec::<String>::new());
    assert_eq!(ask(&world, "127.0.0.1", 8080), "");
    assert!(!rules_with(&world, "filter_FWD_trusted").is_empty());
}
