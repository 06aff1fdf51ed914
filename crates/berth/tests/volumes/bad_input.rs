//! Every refusal is one line, with the right exit code, and leaves nothing behind.

use crate::support::World;

#[test]
fn mistakes_are_told() {
    let world = World::new();
    world.ok("volume create data");
    let lines = [
        "volume crate x",
        "volume rm",
        "volume create a/b",
        "volume create -d nfs x",
        "volume create --opt typ=tmpfs x",
        "volume create --opt type=nfs --opt device=:/x x",
        "volume create --opt type x",
        "volume create --opt type=tmpfs data",
        "volume ls --filtre x=y",
        "volume ls -f size=1",
        "volume ls --format {{.Nam}}",
        "volume prune -f --filter dangling=1",
        "volume inspect nosuch",
        "volume inspect ../data",
        "run -v data host true",
        "run -v a/b:/x host true",
        "run -v data:/x:rx host true",
        "run -v data:/ host true",
        "run -v data:/proc/x host true",
        "run -v data:/x -v data:/x/ host true",
        "run -v data:/x --tmpfs /x host true",
        "run --mount type=bind,dst=/x host true",
        "run --mount type=bind,src=/nonexistent,dst=/x host true",
        "run --mount type=what,dst=/x host true",
        "run --mount src=data,dst=/x,volume-subpath=../up host true",
        "run --mount src=data,dst=/x,volume-subpath=none host true",
        "run --mount src=data,dst=/x,volume-opt=type=tmpfs host true",
        "run --volumes-from nosuch host true",
        "run --volumes-from data:xx host true",
    ];
    let mut page = String::new();
    for line in lines {
        let done = world.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.err.lines().count(), 1, "{line}: {}", done.err);
        page.push_str(&format!("{} {line}\n    {}", done.code, done.err));
        if !line.starts_with("volume inspect") {
            assert_eq!(done.out, "", "{line}");
        }
    }
    insta::assert_snapshot!(page, @"");
    assert_eq!(world.volumes(), ["data"]);
    assert!(world.berth.ids().is_empty() && world.hidden().is_empty());
}

#[test]
fn a_full_disk_leaves_the_store_whole() {
    let world = World::new();
    world.ok("volume create data");
    for point in [
        "volume.create.folder",
        "volume.create.data",
        "volume.create.record",
        "volume.create.publish",
    ] {
        let mut command = world.berth.command(&["volume", "create", "new"]);
        // ENOSPC (28) at that point.
        command.env("BERTH_FAULT", format!("fail=28 {point} 1"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{point}: {text}");
        assert!(text.contains("No space left on device"), "{point}: {text}");
        assert_eq!(world.volumes(), ["data"], "{point}");
        assert!(world.hidden().is_empty(), "{point}: {:?}", world.hidden());
    }
}
