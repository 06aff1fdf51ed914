//! Without privilege: uid 1234, whose containers have its one id.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::cli::{Done, finish};
use crate::support::{STATES, State, World, stat, tree};

const USER: u32 = 1234;

/// Runs `berth` as the user.
fn berth(world: &World, arguments: &[&str]) -> Done {
    let mut command = world.berth.command(arguments);
    command.uid(USER).gid(USER).env("HOME", &world.host);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    finish(command.spawn().unwrap())
}

fn ok(world: &World, arguments: &[&str]) -> String {
    let done = berth(world, arguments);
    assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
    done.out.trim_end().to_owned()
}

/// Gives a folder and all below it to the user.
fn give(path: &Path) {
    for name in tree_names(path) {
        std::os::unix::fs::lchown(path.join(name), Some(USER), Some(USER)).unwrap();
    }
    chown(path, Some(USER), Some(USER)).unwrap();
}

fn tree_names(path: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            }
            all.push(entry.path());
        }
    }
    all
}

#[test]
fn a_users_copies_are_its_own() {
    if !rustix::process::geteuid().is_root() {
        berth_testkit::skip("only root can become another user");
        return;
    }
    for state in STATES {
        let world = World::new();
        let dir = world.host.parent().unwrap();
        fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        give(dir);
        let create = [
            "create", "--name", "c", "--net", "none", "bb", "sleep", "1000",
        ];
        ok(&world, &create);
        if state == State::Running {
            ok(&world, &["start", "c"]);
        }
        world.write("mine", "mine\n");
        fs::set_permissions(world.host.join("mine"), Permissions::from_mode(0o600)).unwrap();
        world.write("d/x", "x\n");
        give(&world.host);
        let (mine, d, to) = (world.path("mine"), world.path("d"), world.path("to"));
        ok(&world, &["cp", &mine, "c:/data/folder/"]);
        ok(&world, &["cp", &d, "c:/tmp"]);
        ok(&world, &["cp", "c:/data/sub/mine", &to]);
        assert_eq!(stat(Path::new(&to)), format!("{USER} {USER} 600"));
        ok(&world, &["cp", "-a", "c:/tmp/d", &world.path("out")]);
        let out = world.host.join("out");
        assert_eq!(stat(&out), format!("{USER} {USER} 755"));
        assert_eq!(tree(&out)["x"], "x\n");
        // Its rights are those that it has without us.
        world.write("roots", "secret\n");
        fs::set_permissions(world.host.join("roots"), Permissions::from_mode(0o600)).unwrap();
        let done = berth(&world, &["cp", &world.path("roots"), "c:/tmp"]);
        assert!(
            done.code == 1 && done.err.contains("Permission denied"),
            "{state:?} {done:?}"
        );
        let done = berth(&world, &["cp", "c:/data/f", "/etc/berth-test-of-cp"]);
        assert!(
            done.code == 1 && done.err.contains("Permission denied"),
            "{state:?} {done:?}"
        );
        ok(&world, &["rm", "-f", "c"]);
    }
}
