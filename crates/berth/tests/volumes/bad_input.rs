//! Every refusal is one line, with the right exit code, and leaves nothing behind.

use crate::support::World;

/// `data` is a volume.
const COMMANDS: [&str; 14] = [
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
];

const MOUNTS: [&str; 15] = [
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

/// What each line is answered, on a line of its own.
fn answers(lines: &[&str]) -> String {
    let world = World::new();
    world.ok("volume create data");
    let mut page = String::new();
    for line in lines {
        let done = world.berth.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(done.err.lines().count(), 1, "{line}: {}", done.err);
        page.push_str(&format!("{} {line}\n    {}", done.code, done.err));
        if !line.starts_with("volume inspect") {
            assert_eq!(done.out, "", "{line}");
        }
    }
    assert_eq!(world.volumes(), ["data"]);
    assert!(world.berth.ids().is_empty() && world.hidden().is_empty());
    page
}

#[test]
fn mistakes_with_volumes_are_told() {
    insta::assert_snapshot!(answers(&COMMANDS), @r#"
    125 volume crate x
        berth: unknown command "crate"; did you mean "berth volume create"?
    125 volume rm
        berth: "berth volume rm" needs VOLUME; see "berth volume rm --help"
    125 volume create a/b
        berth: invalid value "a/b" for VOLUME: "a/b" is no volume: a name has at most 200 letters, digits, _, . and -, and begins with a letter or digit; the path of a folder begins with / or ./
    1 volume create -d nfs x
        berth: no volume driver is called "nfs"; there is "local" alone
    1 volume create --opt typ=tmpfs x
        berth: unknown volume option "typ"; the driver local knows type, device and o
    1 volume create --opt type=nfs --opt device=:/x x
        berth: volumes of type "nfs" are not mounted by berth; mount it on the host, and give --opt type=none --opt o=bind --opt device=FOLDER
    125 volume create --opt type x
        berth: invalid value "type" for --opt: give KEY=VALUE, such as type=tmpfs or o=size=64m
    1 volume create --opt type=tmpfs data
        berth: volume data exists with other options; leave them out to use it as it is, or choose another name
    125 volume ls --filtre x=y
        berth: unknown flag --filtre for "berth volume ls"; did you mean --filter?
    125 volume ls -f size=1
        berth: invalid --filter size=1: no filter is called size; there are dangling, driver, label, name
    125 volume ls --format {{.Nam}}
        berth: invalid --format: template:1:3: there is no field .Nam; did you mean .Name?
    125 volume prune -f --filter dangling=1
        berth: invalid --filter dangling=1: no filter is called dangling; there are all, label, label!
    1 volume inspect nosuch
        berth: no such volume: nosuch; "berth volume ls" lists all volumes
    1 volume inspect ../data
        berth: no such volume: ../data; "berth volume ls" lists all volumes
    "#);
}

#[test]
fn mistakes_with_mounts_are_told() {
    insta::assert_snapshot!(answers(&MOUNTS), @r#"
    125 run -v data host true
        berth: invalid value "data" for --volume: give NAME:TARGET, /SOURCE:TARGET, or the absolute path of an anonymous volume, such as /data
    125 run -v a/b:/x host true
        berth: invalid value "a/b:/x" for --volume: "a/b" is no volume: a name has at most 200 letters, digits, _, . and -, and begins with a letter or digit; the path of a folder begins with / or ./
    125 run -v data:/x:rx host true
        berth: invalid value "data:/x:rx" for --volume: unknown option "rx"; there are ro, rw, nosuid, nodev, noexec, nocopy, rprivate, private, rshared, shared, rslave, slave
    125 run -v data:/ host true
        berth: invalid value "data:/" for --volume: the target is an absolute path below the container's root, without .., such as /data
    125 run -v data:/proc/x host true
        berth: cannot mount over /proc/x: the isolation of the container depends on it; choose another target
    125 run -v data:/x -v data:/x/ host true
        berth: two mounts have the target /x; remove one of them
    125 run -v data:/x --tmpfs /x host true
        berth: two mounts have the target /x; remove one of them
    125 run --mount type=bind,dst=/x host true
        berth: invalid value "type=bind,dst=/x" for --mount: a bind mount has a source; give source=/srv/data
    125 run --mount type=bind,src=/nonexistent,dst=/x host true
        berth: the source /nonexistent of the mount on /x does not exist; create it with "mkdir -p /nonexistent"
    125 run --mount type=what,dst=/x host true
        berth: invalid value "type=what,dst=/x" for --mount: unknown type "what"; there are bind, volume, tmpfs
    125 run --mount src=data,dst=/x,volume-subpath=../up host true
        berth: invalid volume-subpath "../up" of volume data: it is a path below the volume, without .., such as logs/web
    125 run --mount src=data,dst=/x,volume-subpath=none host true
        berth: cannot mount "none" of volume data: there is nothing; create it in the volume first
    125 run --mount src=data,dst=/x,volume-opt=type=tmpfs host true
        berth: volume data exists with other options; leave them out to use it as it is, or choose another name
    125 run --volumes-from nosuch host true
        berth: cannot take volumes from "nosuch": no such container: nosuch; "berth ps -a" lists all containers
    125 run --volumes-from data:xx host true
        berth: invalid value "data:xx" for --volumes-from: after the container stand ro or rw, as in web:ro
    "#);
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
