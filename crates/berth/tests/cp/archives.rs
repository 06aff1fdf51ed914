//! `-`: archives both ways.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::{STATES, State, World, files};

/// Runs tar(1) on an archive.
fn tar(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("tar")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn out(world: &World, from: &str) -> Vec<u8> {
    let output = world.berth.command(&["cp", from, "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}

/// Entries of a tar that nobody checked: name, kind, target of a link, data.
fn archive(entries: &[(&str, u8, &str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, kind, link, data) in entries {
        let mut block = [0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[108..115].copy_from_slice(b"0000007");
        block[116..123].copy_from_slice(b"0000010");
        block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        block[136..147].copy_from_slice(b"00000000000");
        block[148..156].fill(b' ');
        block[156] = *kind;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        all.extend(block);
        all.extend(data.as_bytes());
        all.resize(all.len().next_multiple_of(512), 0);
    }
    all.resize(all.len() + 1024, 0);
    all
}

#[test]
fn out_they_have_the_name_of_the_source() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        let list = |from: &str| tar(&["-t"], &out(&world, from));
        assert_eq!(list("c:/data/f"), "f\n");
        assert_eq!(list("c:/data/sub"), "sub/\nsub/g\n");
        assert_eq!(list("c:/data/sub/."), "./\n./g\n");
        assert_eq!(list("c:/data/folder"), "folder\n");
        assert_eq!(list("c:/data/folder/"), "folder/\nfolder/g\n");
        let said = tar(&["-tv", "--numeric-owner"], &out(&world, "c:/data/f"));
        assert!(said.starts_with("-rw-r----- 1000/1001 "), "{said}");
        assert_eq!(tar(&["-xO"], &out(&world, "c:/data/f")), "one\n");
        assert!(list("c:/").contains("\n./etc/passwd\n"), "{state:?}");
    }
}

#[test]
fn in_they_are_unpacked_as_they_are() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        let stream = archive(&[
            ("new/", b'5', "", ""),
            ("new/.wh.f", b'0', "", "no whiteout\n"),
            ("new/l", b'2', "/etc/passwd", ""),
            ("new/h", b'1', "new/.wh.f", ""),
            // through a link that the container has
            ("folder/h", b'0', "", "below sub\n"),
            ("implied/x", b'0', "", "x\n"),
            ("f", b'0', "", "replaced\n"),
        ]);
        let done = world.berth.run_with(&["cp", "-", "c:/data"], &stream);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{state:?}");
        let new = [
            ("", "/"),
            (".wh.f", "no whiteout\n"),
            ("h", "no whiteout\n"),
            ("l", "-> /etc/passwd"),
        ];
        assert_eq!(world.inside("/data/new"), files(new));
        assert_eq!(world.inside("/data/sub/h"), files([("", "below sub\n")]));
        assert_eq!(world.inside("/data/f"), files([("", "replaced\n")]));
        assert_eq!(world.stat("/data/f"), "7 8 644");
        assert_eq!(world.stat("/data/implied"), "0 0 755");
        // The folder itself keeps what it has.
        assert_eq!(world.stat("/data"), "0 0 755");
        let data = world.inside("/data");
        assert_eq!(data["folder"], "-> /data/sub");
        assert_eq!(data["sub/g"], "two\n");
    }
}

#[test]
fn what_goes_out_comes_in_again() {
    let world = World::new();
    world.container(State::Running, &[]);
    let stream = out(&world, "c:/data");
    let done = world.berth.run_with(&["cp", "-", "c:/mnt"], &stream);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(world.inside("/mnt/data"), world.inside("/data"));
    assert_eq!(world.stat("/mnt/data/f"), "1000 1001 640");
}

/// Everything stays below the root, and what cannot be is refused.
#[test]
fn hostile_ones_change_nothing_outside() {
    let world = World::new();
    world.container(State::Running, &[]);
    world.write("victim/f", "dear\n");
    let victim = world.path("victim");
    let link = format!("{victim}/f");
    let refused = |entries: &[(&str, u8, &str, &str)]| {
        let done = world
            .berth
            .run_with(&["cp", "-", "c:/tmp"], &archive(entries));
        assert_eq!(done.code, 1, "{entries:?}: {done:?}");
        done.err.trim_end().to_owned()
    };
    insta::assert_snapshot!(refused(&[("../x", b'0', "", "x")]), @r#"berth: cannot copy the archive to c:/tmp: malformed tar at byte 512, entry ../x: a name that leads upwards ("..")"#);
    insta::assert_snapshot!(refused(&[("a/../../x", b'0', "", "x")]), @r#"berth: cannot copy the archive to c:/tmp: malformed tar at byte 512, entry a/../../x: a name that leads upwards ("..")"#);
    insta::assert_snapshot!(refused(&[("h", b'1', "../etc/passwd", "")]), @r#"berth: cannot copy the archive to c:/tmp: malformed tar at byte 512, entry h: a name that leads upwards ("..")"#);
    insta::assert_snapshot!(refused(&[("h", b'1', "none", "")]), @"berth: cannot copy the archive to c:/tmp: malformed tar at byte 1536, entry h: tmp/h is a hard link to tmp/none, which is not there");
    insta::assert_snapshot!(refused(&[("d/", b'5', "", ""), ("d", b'0', "", "x")]), @"berth: cannot copy the archive to c:/tmp: cannot replace the folder tmp/d with something that is no folder; remove it first");
    insta::assert_snapshot!(refused(&[("f", b'0', "", "x"), ("f/", b'5', "", "")]), @"berth: cannot copy the archive to c:/tmp: cannot replace tmp/f, which is no folder, with a folder; remove it first");
    // A link to the host's folder is one to the container's own of that name.
    let stream = archive(&[
        ("l", b'2', &victim, ""),
        ("l/f", b'0', "", "evil\n"),
        ("up", b'2', "../../../../../..", ""),
        ("up/above", b'0', "", "evil\n"),
        ("file", b'2', &link, ""),
        ("file", b'0', "", "a file of its own\n"),
    ]);
    let done = world.berth.run_with(&["cp", "-", "c:/tmp"], &stream);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(world.tree("victim"), files([("", "/"), ("f", "dear\n")]));
    assert_eq!(world.inside("/above"), files([("", "evil\n")]));
    assert_eq!(world.inside(&link), files([("", "evil\n")]));
    assert_eq!(
        world.inside("/tmp/file"),
        files([("", "a file of its own\n")])
    );
}

/// The lock of a stopped container is the caller's: nobody writes to its layers without it.
#[test]
fn the_worker_ends_with_its_caller() {
    for state in STATES {
        let world = World::new();
        world.container(state, &[]);
        let mut child = world.berth.spawn(&["cp", "-", "c:/tmp"]);
        let mut stdin = child.stdin.take().unwrap();
        let mut header = archive(&[("big", b'0', "", "")]);
        header.truncate(512);
        header[124..135].copy_from_slice(b"10000000000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        stdin.write_all(&header).unwrap();
        // More than a pipe holds: the worker is at it.
        let block = vec![0; 1 << 20];
        stdin.write_all(&block).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let ended = (0..100).any(|_| stdin.write_all(&block).is_err());
        assert!(ended, "{state:?}: somebody still reads");
    }
}

#[test]
fn compressed_ones_are_taken_and_others_are_not() {
    let world = World::new();
    world.container(State::Running, &[]);
    world.write("f", "f\n");
    let host = world.host.to_str().unwrap();
    let output = Command::new("tar")
        .args(["-C", host, "-cz", "f"])
        .output()
        .unwrap();
    let done = world
        .berth
        .run_with(&["cp", "-", "c:/tmp/"], &output.stdout);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(world.inside("/tmp/f"), files([("", "f\n")]));
    let done = world
        .berth
        .run_with(&["cp", "-", "c:/tmp"], b"no archive\n");
    assert_eq!(done.code, 1);
    assert!(done.err.contains("malformed tar"), "{}", done.err);
    let done = world
        .berth
        .run_with(&["cp", "-", "c:/data/f"], &output.stdout);
    insta::assert_snapshot!(done.err.trim_end(), @"berth: cannot copy to c:/data/f: it is no folder, and an archive needs one");
}
