//! The same for a user without any privilege: a store of its own.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::support::World;
use crate::user::User;

const UID: u32 = 1234;

/// What a command that must succeed says.
fn ok(user: &User<'_>, arguments: &[&str]) -> String {
    let output = user.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn a_user_has_volumes_of_its_own() {
    let tools = Command::new("setpriv").arg("--version").output();
    if !rustix::process::geteuid().is_root() || tools.is_err() {
        return berth_testkit::skip("only root becomes another user");
    }
    let world = World::new();
    let user = User::new(&world.berth, UID);
    // Targets are made in no root that belongs to somebody else.
    for target in ["anon", "part"] {
        std::fs::create_dir(world.image().join(target)).unwrap();
    }
    let image = world.image();
    let image = image.to_str().unwrap();
    let script = "cat /data/file; touch /data/x /anon/y; mkdir /data/sub; stat -c %u /data/x";
    let flags = [
        "run",
        "--rm",
        "--rootfs",
        image,
        "-v",
        "data:/data",
        "-v",
        "/anon",
        "sh",
        "-c",
    ];
    let mut arguments = flags.to_vec();
    arguments.push(script);
    assert_eq!(ok(&user, &arguments), "image0");
    assert_eq!(ok(&user, &["volume", "ls", "-q"]), "data");
    let data = world
        .berth
        .path("home/.local/share/berth/volumes/data/_data");
    for name in ["x", "file"] {
        assert_eq!(
            std::fs::metadata(data.join(name)).unwrap().uid(),
            UID,
            "{name}"
        );
    }
    let part = "source=data,target=/part,volume-subpath=sub,readonly";
    let flags = [
        "run", "--rm", "--rootfs", image, "--mount", part, "sh", "-c",
    ];
    let mut arguments = flags.to_vec();
    arguments.push("touch /part/x 2>/dev/null || echo ro");
    assert_eq!(ok(&user, &arguments), "ro");
    let pruned = ok(&user, &["volume", "prune", "-af"]);
    assert!(pruned.starts_with("Deleted Volumes:\ndata\n"), "{pruned}");
    assert!(!data.exists());
}
