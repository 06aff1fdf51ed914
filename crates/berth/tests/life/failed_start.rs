//! A start that fails: the container is what it was, says why, and can be started again.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::World;

const STATE: &str = "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}";
const TIMES: &str = "{{.State.StartedAt}} {{.State.FinishedAt}}";
const NEVER: &str = "0001-01-01T00:00:00Z 0001-01-01T00:00:00Z";
const KEPT: &str = "hint: container a is kept: \"berth inspect a\" shows it, \"berth start a\" tries again, \"berth rm a\" removes it";

impl World {
    fn state(&self, name: &str) -> String {
        self.berth.ok(&["inspect", "-f", STATE, name])
    }

    /// A program of the host's, and the flag that mounts it as `/prog`.
    fn program(&self) -> (PathBuf, String) {
        let path = self.berth.path("prog");
        std::fs::write(&path, "#!/bin/sh\nexit 3\n").unwrap();
        let flag = format!("{}:/prog", path.display());
        (path, flag)
    }
}

fn set_mode(path: &PathBuf, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_run_that_cannot_start_stays_created_until_it_can() {
    let world = World::new();
    let (program, flag) = world.program();
    set_mode(&program, 0o644);
    let run = ["run", "--name", "a", "-v", &flag, "host", "/prog"];
    let done = world.berth.run(&run);
    assert_eq!((done.code, done.out.as_str()), (126, ""), "{done:?}");
    assert_eq!(done.err.lines().nth(1), Some(KEPT), "{done:?}");
    assert_eq!(world.state("a"), "created 126 false");
    assert_eq!(world.berth.ok(&["inspect", "-f", TIMES, "a"]), NEVER);
    let error = world.field("a", ".State.Error");
    assert!(error.contains("permission denied"), "{error}");
    assert_eq!(
        world.ok("ps -a --format {{.Names}}:{{.Status}}"),
        "a:Created"
    );
    assert_eq!(world.ok("wait a"), "126");
    world.fails(1, "start a");
    assert_eq!(world.state("a"), "created 126 false");
    set_mode(&program, 0o755);
    assert_eq!(world.berth.run(&["start", "-a", "a"]).code, 3);
    assert_eq!(world.state("a"), "exited 3 false");
    assert_eq!(world.field("a", ".State.Error"), "");
    // One that has run before has ended before.
    set_mode(&program, 0o644);
    world.fails(1, "start a");
    assert_eq!(world.state("a"), "exited 126 false");
    world.ok("rm a");
    assert!(world.berth.ids().is_empty());
}

#[test]
fn in_the_background_its_id_is_told_all_the_same() {
    let world = World::new();
    let done = world
        .berth
        .run(&["run", "-d", "--name", "a", "host", "/none"]);
    assert_eq!(done.code, 127, "{done:?}");
    assert_eq!(done.err.lines().nth(1), Some(KEPT), "{done:?}");
    assert_eq!(done.out.trim_end(), world.field("a", ".Id"));
    assert_eq!(world.state("a"), "created 127 false");
    let taken = world.fails(125, "run --name a host true");
    assert!(taken.contains("the name \"a\" is taken"), "{taken}");
    world.ok("rm a");
    for flags in ["run --rm host /none", "run -d --rm host /none"] {
        let done = world.berth.run(&flags.split(' ').collect::<Vec<_>>());
        assert_eq!((done.code, done.out.as_str()), (127, ""), "{done:?}");
        assert!(!done.err.contains("is kept"), "{done:?}");
        assert!(world.berth.ids().is_empty(), "{flags}");
    }
}

#[test]
fn a_mount_that_is_gone_at_the_start() {
    let world = World::new();
    let folder = world.berth.path("folder");
    std::fs::create_dir(&folder).unwrap();
    let flag = format!("type=bind,src={},dst=/data", folder.display());
    let create = ["create", "--name", "a", "--mount", &flag, "host", "true"];
    world.berth.ok(&create);
    std::fs::remove_dir(&folder).unwrap();
    world.fails(1, "start a");
    assert_eq!(world.state("a"), "created 128 false");
    assert_ne!(world.field("a", ".State.Error"), "");
    std::fs::create_dir(&folder).unwrap();
    world.ok("start a");
    assert_eq!(world.ok("wait a"), "0");
}

/// As with Docker, the folder of `-v` is made again, as at the first time.
#[test]
fn a_folder_that_is_gone_at_the_start_is_made_again() {
    let world = World::new();
    let folder = world.berth.path("above/folder");
    let flag = format!("{}:/data", folder.display());
    let words = ["create", "--name", "a", "-v", &flag, "host"];
    let script = ["sh", "-c", "touch /data/kept"];
    world.berth.ok(&[&words[..], &script].concat());
    assert!(folder.is_dir(), "made by create");
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    let started = world.berth.run(&["start", "a"]);
    assert_eq!(started.code, 0, "{started:?}");
    let warning = format!(
        "berth: warning: made the folder {} on the host; it was not there\n",
        folder.display()
    );
    assert_eq!(started.err, warning);
    assert_eq!(world.ok("wait a"), "0");
    assert!(folder.join("kept").exists());
    let again = world.berth.run(&["start", "a"]);
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{again:?}");
    // What is in the way is said.
    assert_eq!(world.ok("wait a"), "0");
    std::fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    std::fs::write(folder.parent().unwrap(), "").unwrap();
    let refused = world.fails(1, "start a");
    assert!(refused.contains("cannot make"), "{refused}");
    assert_eq!(world.state("a"), "exited 128 false");
}
