//! SIGKILL at each point, then a recovery: no lost volume, nothing half visible, no leak.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::support::World;

/// The points that a command passes, in order, from its journal.
fn points(world: &World, arguments: &[&str]) -> Vec<(String, u32)> {
    let journal = world.berth.path("journal");
    let mut command = world.berth.command(arguments);
    command.env("BERTH_FAULT_TRACE", &journal);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&journal).unwrap_or_default();
    drop(std::fs::remove_file(&journal));
    let mut passed: Vec<(String, u32)> = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let point = value["point"].as_str().unwrap().to_owned();
        if point.starts_with("volume.") {
            let nth = passed.iter().filter(|(name, _)| *name == point).count() + 1;
            passed.push((point, u32::try_from(nth).unwrap()));
        }
    }
    passed
}

/// Runs a command that dies at a point.
fn die(world: &World, arguments: &[&str], action: &str, point: &str, nth: u32) {
    let mut command = world.berth.command(arguments);
    command.env("BERTH_FAULT", format!("{action} {point} {nth}"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let status = command.status().unwrap();
    assert_eq!(
        status.signal(),
        Some(9),
        "{point} was not passed: {status:?}"
    );
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
            die(&world, &arguments, action, &point, nth);
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
            die(&world, &["volume", "create", "data"], action, point, 1);
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
            die(&world, &arguments, action, &point, nth);
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
            die(&world, &arguments, action, &point, nth);
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
            die(&world, &arguments, action, &point, nth);
            recover(&world);
            check(&world, &what);
            if !world.berth.ids().is_empty() {
                world.ok("rm -v web");
            }
            assert_eq!(world.volumes(), ["witness"], "{what}");
        }
    }
}
