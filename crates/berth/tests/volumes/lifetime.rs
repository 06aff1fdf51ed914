//! Which volumes go with a container, and which stay.

use crate::cli::eventually;
use crate::support::World;

#[test]
fn anonymous_volumes_go_with_rm() {
    let world = World::new();
    let flags = ["-v", "/anon", "--mount", "dst=/more", "-v", "named:/named"];
    world.run(&flags, "touch /anon/x /more/x /named/x");
    assert_eq!(world.volumes(), ["named"]);
    // In the background the monitor sees to it.
    let mut all = vec!["-d", "--rm"];
    all.extend(flags);
    assert_eq!(world.start("run", &all, "true").code, 0);
    eventually("the container's removal", || world.berth.ids().is_empty());
    eventually("the removal of its volumes", || world.volumes().len() == 1);
    eventually("the end of their files", || world.hidden().is_empty());
}

#[test]
fn rm_takes_volumes_only_when_told() {
    let world = World::new();
    world.create("a", &["-v", "/anon", "-v", "named:/named"]);
    world.ok("rm a");
    assert_eq!(world.volumes().len(), 2);
    world.create("b", &["-v", "/anon", "-v", "named:/named"]);
    assert_eq!(world.volumes().len(), 3);
    world.ok("rm -v b");
    assert_eq!(world.volumes().len(), 2);
}

#[test]
fn the_last_container_takes_an_anonymous_volume_away() {
    let world = World::new();
    world.create("a", &["-v", "/anon"]);
    world.create("b", &["--volumes-from", "a"]);
    world.ok("rm -v a");
    assert_eq!(world.volumes().len(), 1);
    world.ok("rm -v b");
    assert!(world.volumes().is_empty());
}

#[test]
fn a_create_that_fails_leaves_no_volume() {
    let world = World::new();
    world.create("taken", &[]);
    world.ok("volume create old");
    let flags = [
        "--name", "taken", "-v", "/anon", "-v", "new:/new", "-v", "old:/old",
    ];
    assert_eq!(world.start("create", &flags, "true").code, 125);
    assert_eq!(world.volumes(), ["old"]);
    let flags = [
        "--name",
        "other",
        "--mount",
        "src=new,dst=/new,volume-subpath=nothing",
    ];
    assert_eq!(world.start("create", &flags, "true").code, 125);
    assert_eq!(world.volumes(), ["old"]);
    assert!(world.hidden().is_empty());
}

#[test]
fn many_containers_fill_one_volume_once() {
    let world = World::new();
    for number in 0..50 {
        std::fs::write(world.image().join(format!("data/{number}")), [b'x'; 5000]).unwrap();
    }
    let image = world.image();
    let children: Vec<_> = (0..6)
        .map(|_| {
            let script = "cat /data/* | wc -c; ls -d /anon";
            world.berth.spawn(&[
                "run",
                "--rm",
                "--rootfs",
                image.to_str().unwrap(),
                "-v",
                "both:/data",
                "-v",
                "/anon",
                "sh",
                "-c",
                script,
            ])
        })
        .collect();
    for child in children {
        let done = crate::cli::finish(child);
        assert_eq!(
            (done.code, done.out.as_str()),
            (0, "250005\n/anon\n"),
            "{done:?}"
        );
    }
    assert_eq!(world.volumes(), ["both"]);
    assert!(!world.data("both").with_file_name("filling").exists());
}
