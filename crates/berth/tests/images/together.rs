//! Many at once: loads, runs and prunings that meet.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::finish;
use crate::maker::{Recipe, World};

#[test]
fn two_loads_of_one_image() {
    let world = World::empty();
    let mut recipe = Recipe::busybox();
    for at in 0..8 {
        recipe = recipe.layer(&[("x", &at.to_string())]);
    }
    std::fs::write(world.berth.path("it.tar"), recipe.archive(&["box:1"])).unwrap();
    let loads: Vec<Child> = (0..3)
        .map(|_| world.berth.spawn(&["load", "-i", "it.tar"]))
        .collect();
    for load in loads {
        let done = finish(load);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{done:?}");
        assert_eq!(done.out, "Loaded image: box:1\n");
    }
    assert_eq!(world.images(), ["box:1"]);
    assert_eq!(
        (world.count("layers"), world.count("image-work/ingest")),
        (9, 0)
    );
    assert_eq!(world.sh("--rm box:1", "cat /x"), "7");
}

#[test]
fn nothing_in_use_is_ever_taken() {
    let world = World::new();
    let recipe = Recipe::busybox().layer(&[("x", "1")]);
    std::fs::write(world.berth.path("it.tar"), recipe.archive(&["box:2"])).unwrap();
    // It holds box:1, so that no run of that may fail.
    world.ok("create --name holder box:1");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                world.ok("image prune -af");
                rounds += 1;
            }
            rounds
        });
        let ending = Ending(&over);
        for _ in 0..3 {
            let start = |image: &str| {
                let script = "cat /x 2>/dev/null; id -u";
                world
                    .berth
                    .spawn(&["run", "--rm", "--pull", "never", image, "sh", "-c", script])
            };
            let sure: Vec<Child> = (0..5).map(|_| start("box:1")).collect();
            world.ok("load -q -i it.tar");
            let risky: Vec<Child> = (0..5).map(|_| start("box:2")).collect();
            for child in sure {
                let done = finish(child);
                assert_eq!((done.code, done.out.as_str()), (0, "0\n"), "{done:?}");
            }
            for child in risky {
                // It is gone before, or it stays until the end.
                let done = finish(child);
                match done.code {
                    0 => assert_eq!(done.out, "10\n", "{done:?}"),
                    _ => assert_gone(done.code, &done.err),
                }
            }
        }
        drop(ending);
        assert!(pruning.join().unwrap() > 0);
    });
    world.ok("rm holder");
    world.ok("image prune -af");
    assert_eq!(
        (world.count("layers"), world.count("images/blobs/sha256")),
        (0, 0)
    );
    assert_eq!(
        (world.count("image-work/leases"), world.count("containers")),
        (0, 0)
    );
}

/// Ends the pruning, also when the test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn assert_gone(code: i32, err: &str) {
    assert_eq!(code, 125, "{err}");
    let clear = ["no such image: box:2", "was removed", "is missing"];
    assert!(clear.iter().any(|words| err.contains(words)), "{err}");
}

#[test]
fn twenty_containers_share_their_image() {
    let world = World::new();
    world.sh("--rm box:1", "true");
    let mounts = || {
        let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = world.berth.path("root").display().to_string();
        text.lines().filter(|line| line.contains(&root)).count()
    };
    let before = world.disk();
    let children: Vec<Child> = (0..20)
        .map(|at| {
            let name = format!("c{at}");
            world
                .berth
                .spawn(&["run", "-d", "--name", &name, "box:1", "sleep", "1000"])
        })
        .collect();
    for child in children {
        assert_eq!(finish(child).code, 0);
    }
    assert_eq!(world.ok("ps -q").lines().count(), 20);
    assert_eq!(mounts(), 0, "the host's mount table does not grow");
    let grown = world.disk() - before;
    assert!(grown < 1 << 20, "{grown} bytes");
    assert_eq!(world.count("layers"), 1);
}

/// With files of their own in an `/etc` that the image lacks.
#[test]
fn twenty_containers_on_a_network_share_their_mount_points() {
    let world = World::new();
    world.ok("create --network bridge --name first box:1 true");
    let points = || {
        let folder = std::fs::read_dir(world.berth.path("root/mount-points")).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    let shared = points();
    assert_eq!(shared.len(), 1);
    assert!(shared[0].contains("etc,hosts!"), "{shared:?}");
    let before = world.disk();
    for at in 0..20 {
        world.ok(&format!("create --network bridge --name c{at} box:1 true"));
    }
    let grown = world.disk() - before;
    assert!(grown < 1 << 20, "{grown} bytes");
    assert_eq!(points(), shared);
    assert_eq!(world.ok("diff c0"), "");

    // They stay while a container names them, and go with the last one.
    world.ok("create --network ns:/proc/self/ns/net --name plain box:1 true");
    world.ok("image prune -f");
    assert_eq!(points().len(), 2);
    let all: Vec<String> = (0..20).map(|at| format!("c{at}")).collect();
    world.ok(&format!("rm first {}", all.join(" ")));
    world.ok("image prune -f");
    let left = points();
    assert_eq!(left.len(), 1);
    assert!(!left[0].contains("etc"), "{left:?}");
    world.ok("start plain");
}
