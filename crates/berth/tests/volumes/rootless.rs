//! The same for a user without any privilege: a store of its own.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use crate::support::World;

const UID: u32 = 1234;

/// Runs `berth` as that user, with a home of its own in the test's folder.
fn run(world: &World, arguments: &[&str]) -> Output {
    let home = world.berth.path("home");
    let mut command = Command::new("setpriv");
    let id = UID.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.arg(world.berth.path("bin/berth")).args(arguments);
    command.env_clear().current_dir(&home);
    command.env("HOME", &home);
    command.env("XDG_RUNTIME_DIR", &home);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("BERTH_DEFAULT_NETWORK", "none");
    command.output().unwrap()
}

/// What a command that must succeed says.
fn ok(world: &World, arguments: &[&str]) -> String {
    let output = run(world, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// The binaries where the user reaches them, and its home.
fn prepare(world: &World) {
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(&world.berth.path(""));
    for folder in ["bin", "home"] {
        std::fs::create_dir(world.berth.path(folder)).unwrap();
        open(&world.berth.path(folder));
    }
    chown(world.berth.path("home"), Some(UID), Some(UID)).unwrap();
    let berth = Path::new(env!("CARGO_BIN_EXE_berth"));
    for name in ["berth", "berth-runtime"] {
        let copy = world.berth.path("bin").join(name);
        std::fs::copy(berth.with_file_name(name), &copy).unwrap();
        open(&copy);
    }
    // Targets are made in no root that belongs to somebody else.
    for target in ["anon", "part"] {
        std::fs::create_dir(world.image().join(target)).unwrap();
    }
}

#[test]
fn a_user_has_volumes_of_its_own() {
    let tools = Command::new("setpriv").arg("--version").output();
    if !rustix::process::geteuid().is_root() || tools.is_err() {
        return berth_testkit::skip("only root becomes another user");
    }
    let world = World::new();
    prepare(&world);
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
    assert_eq!(ok(&world, &arguments), "image0");
    assert_eq!(ok(&world, &["volume", "ls", "-q"]), "data");
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
    assert_eq!(ok(&world, &arguments), "ro");
    let pruned = ok(&world, &["volume", "prune", "-af"]);
    assert!(pruned.starts_with("Deleted Volumes:\ndata\n"), "{pruned}");
    assert!(!data.exists());
}
