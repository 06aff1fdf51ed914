//! Who owns what was copied.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use crate::support::{STATES, State, World, stat};

#[test]
fn a_copy_belongs_to_who_gets_it_unless_owners_are_kept() {
    for flags in [&[][..], &["--userns", "private"]] {
        for state in STATES {
            let world = World::new();
            world.container(state, flags);
            world.write("f", "f\n");
            let f = world.host.join("f");
            chown(&f, Some(1234), Some(1235)).unwrap();
            fs::set_permissions(&f, Permissions::from_mode(0o4751)).unwrap();

            world.cp(&world.path("f"), "c:/tmp/root");
            assert_eq!(world.stat("/tmp/root"), "0 0 751", "{flags:?} {state:?}");
            world.cp_with(&["-a"], &world.path("f"), "c:/tmp/kept");
            assert_eq!(
                world.stat("/tmp/kept"),
                "1234 1235 4751",
                "{flags:?} {state:?}"
            );

            world.cp("c:/tmp/kept", &world.path("caller"));
            assert_eq!(stat(&world.host.join("caller")), "0 0 751");
            world.cp_with(&["--archive"], "c:/data/f", &world.path("same"));
            assert_eq!(stat(&world.host.join("same")), "1000 1001 640");
        }
    }
}

/// What the tool inside sees, not what `cp` says of itself.
#[test]
fn in_a_user_namespace_the_containers_root_can_use_its_copy() {
    let world = World::new();
    world.container(State::Stopped, &["--userns", "private"]);
    world.write("s", "stopped\n");
    fs::set_permissions(world.host.join("s"), Permissions::from_mode(0o600)).unwrap();
    world.cp(&world.path("s"), "c:/tmp/s");
    world.berth.ok(&["start", "c"]);
    world.write("d/r", "running\n");
    fs::set_permissions(world.host.join("d"), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(world.host.join("d/r"), Permissions::from_mode(0o600)).unwrap();
    world.cp(&world.path("d"), "c:/tmp/d");
    let stat = [
        "exec", "c", "stat", "-c", "%u %g %a", "/tmp/s", "/tmp/d", "/tmp/d/r",
    ];
    assert_eq!(world.berth.ok(&stat), "0 0 600\n0 0 700\n0 0 600");
    assert_eq!(
        world.berth.ok(&["exec", "c", "cat", "/tmp/s", "/tmp/d/r"]),
        "stopped\nrunning"
    );
    // An id that the container does not have cannot be kept.
    chown(world.host.join("s"), Some(3_000_000), None).unwrap();
    let done = world.try_cp_with(&["-a"], &world.path("s"), "c:/tmp/no");
    assert!(
        done.code == 1 && done.err.contains("not mapped"),
        "{done:?}"
    );
}

#[test]
fn capabilities_of_files_go_with_their_owner_alone() {
    let world = World::new();
    world.container(State::Running, &[]);
    world.write("f", "f\n");
    let f = world.host.join("f");
    chown(&f, Some(1000), None).unwrap();
    // VFS_CAP_REVISION_2, effective, CAP_NET_RAW (linux/capability.h).
    let value = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let name = "security.capability";
    rustix::fs::setxattr(&f, name, &value, rustix::fs::XattrFlags::empty()).unwrap();
    let has = |path: &str| {
        let mut buffer = [0; 64];
        rustix::fs::getxattr(world.host.join(path), name, &mut buffer).is_ok()
    };
    world.cp_with(&["-a"], &world.path("f"), "c:/tmp/f");
    world.cp_with(&["-a"], "c:/tmp/f", &world.path("kept"));
    assert!(has("kept"));
    world.cp("c:/tmp/f", &world.path("mine"));
    assert!(!has("mine"));
}
