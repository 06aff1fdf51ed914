//! What becomes what: the rules of `docker cp`'s documentation, both ways.

use crate::support::{STATES, State, World, files};

/// SRC is a folder or a file, DEST is missing, a file or a folder.
#[test]
fn into_the_container() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        world.write("f", "new\n");
        world.write("d/x", "x\n");
        world.write("d/e/y", "y\n");
        let (f, d) = (world.path("f"), world.path("d"));
        let whole = [("", "/"), ("e", "/"), ("e/y", "y\n"), ("x", "x\n")];

        world.cp(&f, "c:/tmp/missing");
        assert_eq!(world.inside("/tmp/missing"), files([("", "new\n")]));
        // The slash in front is optional.
        world.cp(&f, "c:data/f");
        assert_eq!(world.inside("/data/f"), files([("", "new\n")]));
        world.cp(&f, "c:/tmp");
        assert_eq!(world.inside("/tmp/f"), files([("", "new\n")]));
        world.cp(&f, "c:/tmp/../mnt/.");
        assert_eq!(world.inside("/mnt/f"), files([("", "new\n")]));

        world.cp(&d, "c:/tmp/d1");
        assert_eq!(world.inside("/tmp/d1"), files(whole));
        world.cp(&format!("{d}/."), "c:/tmp/d2/");
        assert_eq!(world.inside("/tmp/d2"), files(whole));
        world.cp(&d, "c:/home");
        assert_eq!(world.inside("/home/d"), files(whole));
        world.cp(&format!("{d}/"), "c:/mnt/");
        assert_eq!(world.inside("/mnt/d"), files(whole));

        // Folders merge; what is no folder is replaced.
        world.write("m/sub/g", "three\n");
        world.write("m/file", "no link\n");
        world.cp(&format!("{}/.", world.path("m")), "c:/data");
        let data = [
            ("", "/"),
            ("f", "new\n"),
            ("file", "no link\n"),
            ("folder", "-> /data/sub"),
            ("nothing", "-> sub/new"),
            ("sub", "/"),
            ("sub/g", "three\n"),
            ("up", "-> ../../../etc"),
        ];
        assert_eq!(world.inside("/data"), files(data), "{state:?}");
    }
}

#[test]
fn out_of_the_container() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        let data = [
            ("", "/"),
            ("f", "one\n"),
            ("file", "-> f"),
            ("folder", "-> /data/sub"),
            ("nothing", "-> sub/new"),
            ("sub", "/"),
            ("sub/g", "two\n"),
            ("up", "-> ../../../etc"),
        ];
        world.cp("c:/data/f", &world.path("missing"));
        assert_eq!(world.read("missing"), "one\n");
        world.cp("c:/data/sub/g", &world.path("missing"));
        assert_eq!(world.read("missing"), "two\n");
        world.cp("c:data/f", &world.path("."));
        assert_eq!(world.read("f"), "one\n");
        world.cp("c:/data", &world.path("d1"));
        assert_eq!(world.tree("d1"), files(data));
        world.cp("c:/data/.", &world.path("d2/"));
        assert_eq!(world.tree("d2"), files(data));
        world.cp("c:/data", &world.path("d1"));
        assert_eq!(world.tree("d1/data"), files(data));
        world.write("d3/f", "old\n");
        world.write("d3/sub/other", "other\n");
        world.cp("c:/data/.", &world.path("d3"));
        assert_eq!(world.read("d3/f"), "one\n");
        assert_eq!(world.read("d3/sub/g"), "two\n");
        assert_eq!(world.read("d3/sub/other"), "other\n");
        world.cp("c:/", &world.path("root"));
        assert_eq!(world.read("root/data/f"), "one\n", "{state:?}");
        // What the kernel shows is not copied along.
        assert_eq!(world.tree("root/proc"), files([("", "/")]));
        assert_eq!(world.tree("root/dev"), files([("", "/")]));
    }
}

#[test]
fn links() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        // A source is itself, unless asked for: by -L, or by what follows its name.
        world.cp("c:/data/file", &world.path("l"));
        assert_eq!(world.tree("l"), files([("", "-> f")]));
        world.cp_with(&["-L"], "c:/data/file", &world.path(""));
        assert_eq!(world.read("file"), "one\n");
        world.cp("c:/data/folder/", &world.path("."));
        assert_eq!(world.tree("folder"), files([("", "/"), ("g", "two\n")]));
        world.cp("c:/data/folder/.", &world.path("content"));
        assert_eq!(world.tree("content"), files([("", "/"), ("g", "two\n")]));
        // Those on the way are followed, never out of the root.
        world.cp("c:/data/up/group", &world.path("name"));
        assert!(world.read("name").starts_with("root:x:0"));

        world.write("s/f", "new\n");
        std::os::unix::fs::symlink("f", world.host.join("s/l")).unwrap();
        world.cp(&world.path("s/l"), "c:/tmp/");
        assert_eq!(world.inside("/tmp/l"), files([("", "-> f")]));
        world.cp_with(&["--follow-link"], &world.path("s/l"), "c:/mnt");
        assert_eq!(world.inside("/mnt/l"), files([("", "new\n")]));
        // A destination is what it links to, even if that is not there yet.
        world.cp(&world.path("s/f"), "c:/data/folder");
        assert_eq!(world.inside("/data/sub/f"), files([("", "new\n")]));
        world.cp(&world.path("s/f"), "c:/data/nothing");
        assert_eq!(world.inside("/data/sub/new"), files([("", "new\n")]));
        world.cp(&world.path("s/f"), "c:/data/file");
        assert_eq!(world.inside("/data/f"), files([("", "new\n")]));
        assert_eq!(world.inside("/data/file"), files([("", "-> f")]));
    }
}

#[test]
fn what_cannot_be_is_said() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        world.write("f", "f\n");
        world.write("d/f/x", "x\n");
        world.write("e/sub", "a file\n");
        let path = |name: &str| world.path(name);
        let refused = |from: &str, to: &str| world.refused(from, to);
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused("c:/no", &path("x")), @"berth: cannot copy c:/no: there is no such file or folder in the container");
            insta::assert_snapshot!(refused("c:/data/f/x", &path("x")), @"berth: cannot copy c:/data/f/x: Not a directory (os error 20)");
            insta::assert_snapshot!(refused("c:/data/f/", &path("x")), @"berth: cannot copy c:/data/f/: it is no folder; leave out what follows its name");
            insta::assert_snapshot!(refused("c:/data/f", &path("no/")), @"berth: cannot copy to HOST/no: there is no such folder; make it first");
            insta::assert_snapshot!(refused("c:/data/f", &path("no/x")), @"berth: cannot copy to HOST/no/x: there is no folder HOST/no; make it first");
            insta::assert_snapshot!(refused("c:/data", &path("f")), @"berth: cannot copy the folder c:/data to HOST/f: that is a file; give a folder");
            insta::assert_snapshot!(refused("c:/data/f", &path("f/")), @"berth: cannot copy to HOST/f: it is no folder; leave out the slash at its end");
            insta::assert_snapshot!(refused("c:/data/.", &path("d")), @"berth: cannot copy c:/data/. to HOST/d: cannot replace the folder f with something that is no folder; remove it first");
            insta::assert_snapshot!(refused(&path("no"), "c:/x"), @"berth: cannot copy HOST/no: there is no such file or folder");
            insta::assert_snapshot!(refused(&path("f/"), "c:/x"), @"berth: cannot copy HOST/f: it is no folder; leave out what follows its name");
            insta::assert_snapshot!(refused(&path("f"), "c:/no/x"), @"berth: cannot copy to c:/no/x: there is no folder /no in the container; make it first");
            insta::assert_snapshot!(refused(&path("f"), "c:/no/"), @"berth: cannot copy to c:/no/: there is no such folder; make it first");
            insta::assert_snapshot!(refused(&path("d"), "c:/data/f"), @"berth: cannot copy the folder HOST/d to c:/data/f: that is a file; give a folder");
            insta::assert_snapshot!(refused(&format!("{}/.", path("d")), "c:/data"), @"berth: cannot copy HOST/d to c:/data: cannot replace f, which is no folder, with a folder; remove it first");
            insta::assert_snapshot!(refused(&format!("{}/.", path("e")), "c:/data"), @"berth: cannot copy HOST/e to c:/data: cannot replace the folder sub with something that is no folder; remove it first");
            insta::assert_snapshot!(refused("none:/x", &path("x")), @r#"berth: no such container: none; "berth ps -a" lists all containers"#);
        }
        assert!(!world.host.join("x").exists(), "{state:?}");
    }
}

#[test]
fn bad_usage_is_125() {
    let world = World::new();
    for (arguments, text) in [
        (["a", "b"], "neither SRC nor DEST names a container"),
        (["a:/x", "b:/y"], "from container to container"),
        (["-", "-"], "neither SRC nor DEST"),
        (["a:", "b"], "lacks a part"),
        ([":/x", "b"], "lacks a part"),
        (["", "a:/b"], "SRC is empty"),
    ] {
        let done = world.berth.run(&["cp", arguments[0], arguments[1]]);
        assert_eq!(done.code, 125, "{arguments:?}");
        assert!(done.err.contains(text), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn a_terminal_is_told_what_was_copied() {
    let world = World::new();
    world.container(State::Running, &[]);
    let to = world.path("f");
    let mut terminal = crate::cli::Terminal::start(&world.berth, &["cp", "c:/data/f", &to]);
    let told = terminal.rest();
    assert!(told.contains("Successfully copied 4B to"), "{told}");
    assert_eq!(crate::cli::exit_code(&mut terminal.child), 0);
    let mut terminal = crate::cli::Terminal::start(&world.berth, &["cp", "-q", "c:/data/f", &to]);
    assert_eq!(terminal.rest(), "");
    assert_eq!(crate::cli::exit_code(&mut terminal.child), 0);
}

/// Files of procfs say that they are empty.
#[test]
fn files_of_procfs_have_their_content() {
    let world = World::new();
    world.container(State::Running, &[]);
    world.cp("c:/proc/1/comm", &world.path("comm"));
    assert_eq!(world.read("comm"), "sleep\n");
}
