//! SIGKILL at each point, then a recovery: no lost volume, nothing half visible, no leak.

use crate::faults::{self, die};
use crate::support::World;

/// The points of volumes that a command passes, in order.
fn points(world: &World, arguments: &[&str]) -> Vec<(String, u32)> {
    let mut passed = faults::points(&world.berth, arguments);
    passed.retain(|(point, _)| point.starts_with("volume."));
    passed
}

/// The recovery that is due after a boot.
fn recover(world: &World) {
    drop(std::fs::remove_file(world.berth.path("state/recovered")));
    world.ok("volume create witness");
}

fn check(world: &World, what: &str) {
    assert!(world.hidden().is_empty(), "{what}: {:?}", world.hidden());
    for volume in world.volumes() {
        assert!(world.data(&volume).is_dir(), "{what}: {volume}");
        let folder = world.data(&volume);
        assert!(
            !folder.with_file_name("filling").exists(),
            "{what}: {volume}"
        );
        world.ok(&format!("volume inspect {volume}"));
    }
    let containers = std::fs::read_dir(world.berth.path("root/containers")).unwrap();
    for entry in containers {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with('.'), "{what}: {name}");
    }
}

#[test]
fn a_volume_is_made_or_not() {
    let world = World::new();
    recover(&world);
    let arguments = ["volume", "create", "data"];
    let passed = points(&world, &arguments);
    assert!(passed.len() >= 5, "{passed:?}");
    world.ok("volume rm data");
    for (point, nth) in passed {
        for action in ["kill-before", "kill-after"] {
            let what = format!("{action} {point} {nth}");
            die(&world.berth, &arguments, &what);
            recover(&world);
            check(&world, &what);
            // It can be made, or is there.
            assert_eq!(world.ok("volume create data"), "data", "{what}");
            world.ok("volume rm data");
        }
    }
}

#[test]
fn the_first_volume_of_all_is_made_or_not() {
    for point in ["volume.folder.make", "volume.folder.sync"] {
        for action in ["kill-before", "kill-after"] {
            let world = World::new();
            let fault = format!("{action} {point} 1");
            die(&world.berth, &["volume", "create", "data"], &fault);
            recover(&world);
            check(&world, point);
            assert_eq!(world.volumes(), ["witness"]);
        }
    }
}

#[test]
fn a_volume_is_removed_or_not() {
    let world = World::new();
    recover(&world);
    world.ok("volume create data");
    let arguments = ["volume", "rm", "data"];
    let passed = points(&world, &arguments);
    assert!(passed.len() >= 2, "{passed:?}");
    for (point, nth) in passed {
        for action in ["kill-before", "kill-after"] {
            let what = format!("{action} {point} {nth}");
            world.ok("volume create data");
            std::fs::write(world.data("data").join("file"), "x").unwrap();
            die(&world.berth, &arguments, &what);
            recover(&world);
            check(&world, &what);
            if world.volumes().contains(&"data".to_owned()) {
                // Then with all that was in it.
                assert!(world.data("data").join("file").exists(), "{what}");
                world.ok("volume rm data");
            }
        }
    }
}

#[test]
fn a_container_comes_with_its_volumes_or_not_at_all() {
    let world = World::new();
    recover(&world);
    let image = world.image();
    let arguments = [
        "create",
        "--name",
        "web",
        "--rootfs",
        image.to_str().unwrap(),
        "-v",
        "data:/data",
        "-v",
        "/bin",
        "true",
    ];
    let passed = points(&world, &arguments);
    assert!(
        passed.iter().any(|(point, _)| point == "volume.fill.begin"),
        "{passed:?}"
    );
    world.ok("rm -v web");
    world.ok("volume rm data");
    for (point, nth) in passed {
        for action in ["kill-before", "kill-after"] {
            let what = format!("{action} {point} {nth}");
            die(&world.berth, &arguments, &what);
            recover(&world);
            check(&world, &what);
            assert!(world.berth.ids().is_empty(), "{what}");
            // The anonymous one went with the container that never was.
            let left = world.volumes();
            assert!(
                left.iter().all(|name| name == "data" || name == "witness"),
                "{what}: {left:?}"
            );
            // A named one may stay; it is whole or empty, and the next container fills it.
            let seen = world.run(&["-v", "data:/data"], "cat /data/file");
            assert_eq!(seen, "image", "{what}");
            world.ok("volume rm data");
        }
    }
}

#[test]
fn anonymous_volumes_go_whole() {
    let world = World::new();
    recover(&world);
    world.create("web", &["-v", "/data", "-v", "/more"]);
    let arguments = ["rm", "-v", "web"];
    let passed = points(&world, &arguments);
    assert!(passed.len() >= 4, "{passed:?}");
    for (point, nth) in passed {
        for action in ["kill-before", "kill-after"] {
            let what = format!("{action} {point} {nth}");
            world.create("web", &["-v", "/data", "-v", "/more"]);
            die(&world.berth, &arguments, &what);
            recover(&world);
            check(&world, &what);
            if !world.berth.ids().is_empty() {
                world.ok("rm -v web");
            }
            assert_eq!(world.volumes(), ["witness"], "{what}");
        }
    }
}
