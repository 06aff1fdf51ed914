//! `volume create`, `ls`, `inspect`, `rm`, `prune`: Docker's output and exit codes.

use crate::support::World;

#[test]
fn volumes_are_made_listed_shown_and_removed() {
    let world = World::new();
    assert_eq!(world.ok("volume ls"), "DRIVER    VOLUME NAME");
    assert_eq!(world.ok("volume create --label a=b data"), "data");
    assert_eq!(world.ok("volume create data"), "data");
    let anonymous = world.ok("volume create");
    assert!(anonymous.len() == 64 && anonymous.bytes().all(|b| b.is_ascii_hexdigit()));
    let listed = format!("DRIVER    VOLUME NAME\nlocal     {anonymous}\nlocal     data");
    let mut lines: Vec<&str> = listed.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(world.ok("volume list").lines().collect::<Vec<_>>(), lines);
    let done = world
        .berth
        .run(&["volume", "rm", "data", "nosuch", &anonymous]);
    assert_eq!((done.code, done.out), (1, format!("data\n{anonymous}\n")));
    assert_eq!(
        done.err,
        "berth: no such volume: nosuch; \"berth volume ls\" lists all volumes\n"
    );
    assert!(world.volumes().is_empty() && world.hidden().is_empty());
}

#[test]
fn listings_are_filtered_and_formatted() {
    let world = World::new();
    for line in [
        "--label a=b --label c web-data",
        "--label a=x other",
        "plain",
    ] {
        world.ok(&format!("volume create {line}"));
    }
    world.create("user", &["-v", "other:/x"]);
    for (filter, names) in [
        ("name=data", "web-data"),
        ("label=a", "other\nweb-data"),
        ("label=a=b", "web-data"),
        ("dangling=true", "plain\nweb-data"),
        ("dangling=false", "other"),
        ("driver=nfs", ""),
    ] {
        assert_eq!(
            world.ok(&format!("volume ls -q -f {filter}")),
            names,
            "{filter}"
        );
    }
    let format = "{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Label \"a\"}} {{.Mountpoint}}";
    let line = world
        .berth
        .ok(&["volume", "ls", "-f", "name=web", "--format", format]);
    let mountpoint = world.data("web-data");
    assert_eq!(
        line,
        format!("web-data local local a=b,c= b {}", mountpoint.display())
    );
    let json = world.ok("volume ls -f name=plain --format json");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["Name"], "plain");
    assert_eq!(value["Size"], "N/A");
}

#[test]
fn inspect_shows_what_docker_shows() {
    let world = World::new();
    world.ok("volume create --label a=b --opt type=tmpfs --opt o=size=1m mem");
    let shown: serde_json::Value = serde_json::from_str(&world.ok("volume inspect mem")).unwrap();
    let one = &shown[0];
    assert_eq!(one["Driver"], "local");
    assert_eq!(one["Labels"]["a"], "b");
    assert_eq!(one["Options"]["o"], "size=1m");
    assert_eq!(one["Scope"], "local");
    assert_eq!(one["Mountpoint"], world.data("mem").to_str().unwrap());
    let created = one["CreatedAt"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() == 20, "{created}");
    // One that is missing fails, and the others are shown.
    let done = world
        .berth
        .run(&["volume", "inspect", "-f", "{{.Name}}", "nosuch", "mem"]);
    assert_eq!((done.code, done.out.as_str()), (1, "mem\n"), "{done:?}");
    let done = world.berth.run(&["volume", "inspect", "nosuch"]);
    assert_eq!((done.code, done.out.as_str()), (1, "[]\n"), "{done:?}");
}

#[test]
fn prune_asks_and_takes_the_unused() {
    let world = World::new();
    world.ok("volume create --label keep=1 kept");
    world.ok("volume create named");
    let anonymous = world.ok("volume create");
    world.create("user", &["-v", "used:/x", "-v", "/y"]);
    std::fs::write(world.data("named").join("file"), [0; 1500]).unwrap();
    // No answer is a no.
    let done = world.berth.run(&["volume", "prune"]);
    assert_eq!((done.code, done.out.as_str()), (0, ""));
    assert!(
        done.err
            .starts_with("WARNING! This will remove anonymous local volumes")
    );
    let done = world.berth.run_with(&["volume", "prune"], b"y\n");
    assert_eq!(
        done.out,
        format!("Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 0B\n")
    );
    let pruned = world.ok("volume prune -af --filter label!=keep");
    assert_eq!(
        pruned,
        "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 1.5kB"
    );
    assert_eq!(world.ok("volume prune -f"), "Total reclaimed space: 0B");
    assert_eq!(
        world.volumes().len(),
        3,
        "kept, used, and an anonymous one in use"
    );
    assert!(world.hidden().is_empty());
}

#[test]
fn a_damaged_record_hides_nothing() {
    let world = World::new();
    world.ok("volume create good");
    world.ok("volume create torn");
    std::fs::write(world.berth.path("root/volumes/torn/volume.json"), "{").unwrap();
    let done = world.berth.run(&["volume", "ls", "-q"]);
    assert_eq!((done.code, done.out.as_str()), (0, "good\n"));
    assert!(
        done.err.contains("the record of volume torn is damaged"),
        "{}",
        done.err
    );
    let done = world.start("run", &["--rm", "-v", "torn:/x"], "true");
    assert_eq!(done.code, 125);
    assert!(done.err.contains("torn is damaged"), "{}", done.err);
    world.ok("volume rm torn");
    assert_eq!(world.volumes(), ["good"]);
}

#[test]
fn a_volume_in_use_stays() {
    let world = World::new();
    let id = world.create("user", &["-v", "data:/x"]);
    let text = world.fails(1, "volume rm -f data");
    let expected = format!(
        "berth: cannot remove volume data: it is in use by container user ({}); remove it first with \"berth rm user\"",
        &id[..12]
    );
    assert_eq!(text, expected);
    world.ok("rm user");
    assert_eq!(world.ok("volume rm data"), "data");
    assert_eq!(world.ok("volume rm -f data"), "data");
}
