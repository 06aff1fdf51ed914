//! Mounts of the container, and roots that are read-only, throwaway or directories.

use std::process::Command;

use berth_testkit::Bundle;

use crate::support::{STATES, State, World, files};

#[test]
fn what_is_bound_into_it_is_read_and_written() {
    for state in STATES {
        let world = World::new();
        world.write("v/in/x", "x\n");
        world.write("one", "one\n");
        let flags = [
            format!("{}:/vol", world.path("v")),
            format!("{}:/vol/ro:ro", world.path("v")),
            format!("{}:/etc/one", world.path("one")),
        ];
        let flags: Vec<&str> = flags.iter().flat_map(|f| ["-v", f.as_str()]).collect();
        world.container(state, &flags);
        world.cp("c:/vol/in", &world.path("in"));
        assert_eq!(world.tree("in"), files([("", "/"), ("x", "x\n")]));
        world.cp("c:/vol/ro/in/x", &world.path("x"));
        assert_eq!(world.read("x"), "x\n");
        world.cp("c:/etc/one", &world.path("copy"));
        assert_eq!(world.read("copy"), "one\n");

        world.write("new", "new\n");
        world.cp(&world.path("new"), "c:/vol/in/");
        assert_eq!(world.read("v/in/new"), "new\n", "{state:?}");
        let said = world.refused(&world.path("new"), "c:/vol/ro/");
        assert!(said.contains("read-only"), "{said}");
        let said = world.refused(&world.path("new"), "c:/etc/one");
        assert!(said.contains("mounted"), "{said}");
        assert_eq!(world.read("one"), "one\n");
        if state == State::Running {
            // From outside of the mount namespace an unlink would take the mount away.
            let archive = Command::new("tar")
                .args(["-C", world.host.to_str().unwrap(), "-c", "one"])
                .output()
                .unwrap();
            let done = world
                .berth
                .run_with(&["cp", "-", "c:/etc"], &archive.stdout);
            assert!(done.code == 1 && done.err.contains("mounted"), "{done:?}");
            let mounts = world.berth.ok(&["exec", "c", "cat", "/proc/mounts"]);
            assert!(mounts.contains(" /etc/one "), "{mounts}");
        }
        // The name of a mount is that of its target.
        world.write("out/keep", "");
        world.cp("c:/vol", &world.path("out"));
        assert_eq!(world.read("out/vol/in/x"), "x\n");
    }
}

/// The file would be gone before it is read.
#[test]
fn nothing_is_copied_onto_or_into_itself() {
    let world = World::new();
    world.write("v/x", "x\n");
    world.write("v/d/y", "y\n");
    let bind = format!("{}:/vol", world.path("v"));
    world.container(State::Running, &["-v", &bind]);
    let said = world.refused(&world.path("v/x"), "c:/vol/x");
    assert!(said.contains("onto itself"), "{said}");
    let said = world.refused("c:/vol/.", &world.path("v"));
    assert!(said.contains("into itself"), "{said}");
    let said = world.refused(&world.path("v"), "c:/vol/d");
    assert!(said.contains("into itself"), "{said}");
    assert_eq!(world.read("v/x"), "x\n");
}

#[test]
fn a_full_file_system_is_said_to_be_full() {
    let world = World::new();
    world.container(State::Running, &["--tmpfs", "/small:size=65536"]);
    std::fs::write(world.host.join("big"), vec![1; 1 << 20]).unwrap();
    insta::assert_snapshot!(world.refused(&world.path("big"), "c:/small"), @r#"berth: cannot copy HOST/big to c:/small: cannot copy big: No space left on device (os error 28); free some space, "berth system prune" does"#);
    assert_eq!(
        world.inside("/small"),
        files([("", "/")]),
        "nothing half copied"
    );
    // What was there stays.
    world.write("small", "old\n");
    world.cp(&world.path("small"), "c:/small/big");
    world.refused(&world.path("big"), "c:/small/big");
    assert_eq!(world.inside("/small/big"), files([("", "old\n")]));
}

#[test]
fn a_read_only_root_is_not_written_to() {
    for state in STATES {
        let world = World::new();
        world.container(state, &["--read-only", "--tmpfs", "/scratch"]);
        world.write("f", "f\n");
        let said = world.refused(&world.path("f"), "c:/tmp/f");
        assert!(said.contains("read-only"), "{said}");
        if state == State::Running {
            world.cp(&world.path("f"), "c:/scratch/");
            assert_eq!(world.inside("/scratch/f"), files([("", "f\n")]));
        }
        world.cp("c:/data/f", &world.path("out"));
        assert_eq!(world.read("out"), "one\n", "{state:?}");
    }
}

#[test]
fn the_host_image_has_files_while_it_runs() {
    let world = World::new();
    let berth = &world.berth;
    berth.ok(&[
        "run", "-d", "--name", "c", "--net", "none", "host", "sleep", "1000",
    ]);
    world.write("f", "f\n");
    world.cp(&world.path("f"), "c:/tmp/");
    assert_eq!(berth.ok(&["exec", "c", "cat", "/tmp/f"]), "f");
    berth.ok(&["kill", "c"]);
    berth.ok(&["wait", "c"]);
    insta::assert_snapshot!(world.refused("c:/tmp/f", &world.path("g")), @r#"berth: cannot copy from container c: it is stopped, and its image "host" keeps no files; start it with "berth start c""#);
}

#[test]
fn a_directory_is_written_to_where_it_may_be() {
    let world = World::new();
    world.write("f", "f\n");
    let bundle = Bundle::new();
    let root = bundle.rootfs();
    let path = root.to_str().unwrap();
    for (name, flags) in [("c", &["--rw"][..]), ("throwaway", &[])] {
        let mut arguments = vec!["create", "--name", name, "--net", "none", "--rootfs", path];
        arguments.extend(flags);
        arguments.extend(["sleep", "1000"]);
        world.berth.ok(&arguments);
    }
    world.cp("c:/etc/hostname", &world.path("name"));
    assert_eq!(world.read("name"), "testkit\n");
    world.cp(&world.path("f"), "c:/tmp/");
    assert_eq!(std::fs::read_to_string(root.join("tmp/f")).unwrap(), "f\n");
    let said = world.refused(&world.path("f"), "throwaway:/tmp/g");
    assert!(said.contains("--rw"), "{said}");
    assert!(!root.join("tmp/g").exists());
}
