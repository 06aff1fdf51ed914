//! A part of a volume: what another container swaps for a link leads nowhere.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::World;

#[test]
fn a_part_of_a_volume_is_mounted() {
    let world = World::new();
    world.ok("volume create data");
    let data = world.data("data");
    std::fs::create_dir_all(data.join("a/b")).unwrap();
    std::fs::write(data.join("a/b/file"), "deep").unwrap();
    symlink("a", data.join("link")).unwrap();
    let mount = "src=data,dst=/x,volume-subpath=link/b";
    assert_eq!(
        world.run(&["--mount", mount], "cat /x/file; touch /x/y"),
        "deep"
    );
    assert!(data.join("a/b/y").exists());
    // A file is mounted on a file.
    let mount = "src=data,dst=/f,volume-subpath=a/b/file,ro";
    assert_eq!(
        world.run(
            &["--mount", mount],
            "cat /f; (echo > /f) 2>/dev/null || echo ro"
        ),
        "deepro"
    );
    let flags = [
        "--userns",
        "private",
        "--mount",
        "src=data,dst=/x,volume-subpath=a",
    ];
    if rustix::process::geteuid().is_root() {
        assert_eq!(world.run(&flags, "cat /x/b/file; stat -c %u /x"), "deep0");
    }
}

#[test]
fn a_subpath_leads_out_of_no_volume() {
    let world = World::new();
    world.ok("volume create data");
    for (name, target) in [
        ("abs", "/etc"),
        ("up", "../../.."),
        ("self", "/proc/self/root"),
    ] {
        symlink(target, world.data("data").join(name)).unwrap();
        let mount = format!("src=data,dst=/x,volume-subpath={name}");
        let done = world.start("run", &["--rm", "--mount", &mount], "ls /x");
        assert_eq!(done.code, 125, "{done:?}");
        assert_eq!(done.out, "");
    }
}

/// Ends the swapping when dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Another container that has the volume swaps the folder for a link to the host, as fast as it can,
/// between the look and the mount. With RESOLVE_BENEATH taken out of `act/mount.rs` the host's folder
/// was mounted.
#[test]
fn a_swapped_subpath_is_never_followed_out() {
    let world = World::new();
    world.ok("volume create data");
    let data = world.data("data");
    let secret = world.berth.path("secret");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("mark"), "").unwrap();
    std::fs::create_dir(data.join("sub")).unwrap();
    symlink(&secret, data.join("evil")).unwrap();
    let stop = AtomicBool::new(false);
    let swaps = std::thread::scope(|scope| {
        // Also where an assertion below fails.
        let ends = Stop(&stop);
        let swapper = scope.spawn(|| {
            let (sub, evil) = (data.join("sub"), data.join("evil"));
            let mut count = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &sub, CWD, &evil, RenameFlags::EXCHANGE).unwrap();
                count += 1;
            }
            count
        });
        let mut mounted = 0;
        for _ in 0..60 {
            let flags = ["--rm", "--mount", "src=data,dst=/x,volume-subpath=sub"];
            let done = world.start("run", &flags, "ls /x");
            assert!(!done.out.contains("mark"), "the host's folder was mounted");
            mounted += u32::from(done.code == 0);
        }
        drop(ends);
        assert!(mounted > 0, "no round got as far as a mount");
        swapper.join().unwrap()
    });
    assert!(swaps > 1000, "only {swaps} swaps: no race was run");
}
