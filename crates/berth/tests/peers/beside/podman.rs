//! Beside podman, whose plugins make chains of their own in the tables of iptables.

use super::{Ours, assert_reached, leave, make_outside, rules_with};
use crate::podman::Podman;

fn serve(podman: &Podman, name: &str, port: u16) {
    let publish = format!("--publish={port}:80");
    let flags = ["--network=bridge", "-d", "--name", name, &publish];
    let server = ["nc", "-ll", "-p", "80", "-e", "echo", name];
    let done = podman.run_container(&flags, &server);
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn podman_before_and_after() {
    let podman = Podman::new();
    make_outside(&podman.world);
    let ours = Ours {
        world: &podman.world,
    };
    serve(&podman, "seal", 9090);
    assert_reached(&podman.world, 9090, "seal");
    ours.serve("web", 8080);
    let line = "nc -w 3 203.0.113.2 80 </dev/null || true";
    let both = |seal: &str| {
        assert_reached(&podman.world, 8080, "web");
        assert_reached(&podman.world, 9090, seal);
        assert!(ours.reaches_outside("web"));
        assert_eq!(podman.exec(seal, line), "outside");
        assert_eq!(ours.ask_from("web", "203.0.113.1", 9090), seal);
    };
    both("seal");
    // The other order.
    podman.ok(&["rm", "--force", "--time=0", "seal"]);
    assert_reached(&podman.world, 8080, "web");
    serve(&podman, "otter", 9090);
    both("otter");
    ours.remove("web");
    assert_eq!(rules_with(&podman.world, "berth"), Vec::<String>::new());
    assert_reached(&podman.world, 9090, "otter");
    leave(&podman.world);
    podman.finish();
}
