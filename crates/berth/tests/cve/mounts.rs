//! Where mounts land: nothing covers procfs, and no target leaves the root file system.

use std::fs;
use std::os::unix::fs::symlink;

use berth_testkit::Bundle;

use crate::cli::Berth;
use crate::support::{Outside, ROUNDS, Swap, bundle_with_link, lay_link, oci, root_for};

/// A bundle whose `/p` is a link to `/proc`, and a folder of its own to bind.
fn with_shortcut(bundle: Bundle) -> Bundle {
    symlink("/proc", bundle.rootfs().join("p")).unwrap();
    fs::create_dir(bundle.join("fake")).unwrap();
    fs::write(bundle.join("fake/file"), "").unwrap();
    bundle
}

/// Seen to fail without its guard: `guard_procfs` in `act/root.rs` (2: the plan, by text). Then: a
/// tmpfs lay on /proc/self/attr by way of a link.
#[test]
fn cve_2019_16884_2019_19921_2023_27561_2023_28642_nothing_is_mounted_over_proc() {
    let runtime = oci();
    for (at, target) in [
        "/proc",
        "/proc/self",
        "/proc/self/attr",
        "/proc/sys",
        "/proc/sys/kernel",
        "/p",
        "/p/self/attr",
        "/p/sys",
        "//proc/./sys/",
    ]
    .into_iter()
    .enumerate()
    {
        for kind in ["bind", "tmpfs"] {
            let bundle = with_shortcut(runtime.bundle());
            let fake = bundle.join("fake");
            let bundle = match kind {
                "bind" => bundle.bind(&fake, target, &["rbind", "ro"]),
                _ => bundle.mount("tmpfs", "tmpfs", target, &[]),
            };
            let bundle = bundle.sh("cat /proc/self/mountinfo");
            let said = runtime.run(&format!("{kind}{at}"), &bundle).refused();
            assert!(said.contains("proc"), "{kind} {target}: {said}");
        }
    }
    let bundle = with_shortcut(runtime.bundle());
    let fake = bundle.join("fake/file");
    let said = runtime.run("f", &bundle.bind(&fake, "/p/self/attr/exec", &[]));
    assert!(said.refused().contains("proc"));
    runtime.assert_nothing_left();

    let berth = Berth::new();
    let (bundle, root) = root_for(&berth);
    symlink("/proc", bundle.rootfs().join("p")).unwrap();
    for target in ["/proc", "/proc/self/attr", "/proc/sys", "/p", "/p/sys"] {
        let volume = format!("{}:{target}", bundle.path().display());
        for flags in [["-v", &volume], ["--tmpfs", target]] {
            let mut run = vec!["run", "--rm", "--rootfs", &root];
            run.extend(flags);
            run.push("/bin/true");
            let done = berth.run(&run);
            assert_eq!(done.code, 125, "{flags:?} {done:?}");
        }
    }
    assert!(berth.ids().is_empty());
}

/// Seen to fail without its guard: `Links::InRoot` for proc and sysfs in `plan/mounts.rs`. Then: a
/// linked /proc was mounted on.
#[test]
fn cve_2025_54867_a_linked_proc_or_sys_is_refused() {
    let runtime = oci();
    for name in ["proc", "sys"] {
        for (at, to) in ["elsewhere", "/elsewhere", "/", "."]
            .into_iter()
            .enumerate()
        {
            let bundle = runtime.bundle();
            let root = bundle.rootfs();
            fs::create_dir(root.join("elsewhere")).unwrap();
            fs::remove_dir(root.join(name)).unwrap();
            symlink(to, root.join(name)).unwrap();
            let said = runtime.run(&format!("{name}{at}"), &bundle).refused();
            assert!(said.contains(name), "{name} to {to}: {said}");
        }
    }
    runtime.assert_nothing_left();

    let berth = Berth::new();
    for name in ["proc", "sys"] {
        let root = berth.path(&format!("root-{name}"));
        fs::create_dir_all(root.join("elsewhere")).unwrap();
        symlink("elsewhere", root.join(name)).unwrap();
        let run = [
            "run",
            "--rm",
            "--rootfs",
            root.to_str().unwrap(),
            "/bin/true",
        ];
        let done = berth.run(&run);
        assert_eq!(done.code, 125, "{done:?}");
        assert!(done.err.contains("symbolic link"), "{}", done.err);
        assert!(berth.ids().is_empty());
    }
}

/// Seen to fail without its guard: RESOLVE_IN_ROOT in `act/path.rs`. Then: the tmpfs lay on the
/// host's folder, and nothing of it was seen inside.
#[test]
fn cve_2019_18837_a_linked_target_stays_inside() {
    let runtime = oci();
    // Absolute, relative, and up beyond the root: all end below it.
    for (at, up) in ["", "../../../../../../.."].into_iter().enumerate() {
        let bundle = runtime.bundle();
        let outside = Outside::beside(bundle.path());
        let to = format!("{up}{}", outside.path.display());
        symlink(to, bundle.rootfs().join("link")).unwrap();
        let bundle = bundle
            .mount("tmpfs", "tmpfs", "/link", &[])
            .mount("tmpfs", "tmpfs", "/link/deep/er", &[])
            .sh("touch /link/mine /link/deep/er/mine && awk '{print $5}' /proc/self/mountinfo");
        let mounts = runtime.run(&format!("a{at}"), &bundle).ok().out;
        outside.is_untouched();
        let inside = format!("{}\n", outside.path.display());
        assert!(mounts.contains(&inside), "{mounts}");
    }

    let berth = Berth::new();
    let (bundle, root) = root_for(&berth);
    let outside = Outside::beside(bundle.path());
    lay_link(&bundle.rootfs(), &outside);
    let run = [
        "run",
        "--rm",
        "--rootfs",
        &root,
        "--rw",
        "--tmpfs",
        "/link/new",
        "/bin/true",
    ];
    berth.ok(&run);
    outside.is_untouched();
}

/// Mounts below `data` while it is exchanged with a link to the host, through both programs.
fn race(targets: &[&str]) {
    let runtime = oci();
    let (bundle, outside) = bundle_with_link(&runtime);
    let mut bundle = bundle.sh("cat /proc/self/mountinfo");
    let bound = bundle.join("bound");
    fs::create_dir(&bound).unwrap();
    fs::write(bound.join("mine"), "").unwrap();
    for target in targets {
        bundle = bundle
            .mount("tmpfs", "tmpfs", &format!("{target}/t"), &[])
            .bind(&bound, &format!("{target}/b"), &["rbind"]);
    }
    let swap = Swap::between(&bundle.rootfs(), "data", "link");
    let mut ran = 0;
    for round in 0..ROUNDS {
        let done = runtime.run(&format!("r{round}"), &bundle);
        outside.is_untouched();
        if done.code == 0 {
            // A mount that landed outside of the root is not seen from within.
            let points = done.out.lines().filter_map(|line| line.split(' ').nth(4));
            let landed = points.filter(|p| p.ends_with("/t") || p.ends_with("/b"));
            assert_eq!(landed.count(), 2 * targets.len(), "{}", done.out);
            ran += 1;
        }
    }
    swap.stop();
    assert!(
        ran > 0,
        "no run got through: the race was not at the mounts"
    );
    runtime.assert_nothing_left();

    let berth = Berth::new();
    let (bundle, root) = root_for(&berth);
    let outside = Outside::beside(bundle.path());
    lay_link(&bundle.rootfs(), &outside);
    let volume = format!("{}:{}/b", bound.display(), targets[0]);
    let tmpfs = format!("{}/t", targets[0]);
    let swap = Swap::between(&bundle.rootfs(), "data", "link");
    for _ in 0..ROUNDS / 3 {
        let run = [
            "run",
            "--rm",
            "--rootfs",
            &root,
            "--rw",
            "-v",
            &volume,
            "--tmpfs",
            &tmpfs,
            "/bin/true",
        ];
        berth.run(&run);
        outside.is_untouched();
    }
    swap.stop();
    assert!(berth.ids().is_empty());
}

/// Seen to fail without its guard: `act/path.rs` checks for links first and opens without
/// RESOLVE_IN_ROOT after 30 us. Then: a mount had landed outside of the root.
#[test]
fn cve_2021_30465_a_target_swapped_for_a_link_stays_inside() {
    race(&["/data/inner"]);
}

/// Seen to fail without its guard: as 2021-30465. Then: folders were made on the host.
#[test]
fn cve_2024_45310_folders_are_made_inside() {
    race(&["/data/a/b/c/d/e", "/data/a/b/x/y/z"]);
}

/// What is in the host's /dev, without its folders.
fn dev() -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/dev").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Ok(stat) = fs::symlink_metadata(entry.path()) else {
            continue;
        };
        use std::os::unix::fs::MetadataExt;
        names.push(format!(
            "{name} {:o} {} {}",
            stat.mode(),
            stat.rdev(),
            stat.uid()
        ));
    }
    names.sort();
    names
}

/// Seen to fail without its guard: as 2019-18837. Then: null, full, fd and others were made in the
/// host's folder.
#[test]
fn cve_2026_41579_2026_47766_a_linked_dev_leaves_the_hosts_alone() {
    let runtime = oci();
    let before = dev();
    for (at, up) in ["", "../../../../../../../.."].into_iter().enumerate() {
        for (form, keep) in [("tmpfs", true), ("none", false)] {
            let mut bundle = runtime.bundle();
            // A folder instead of the host's own /dev: what this test is about would break it.
            let outside = Outside::beside(bundle.path());
            let to = format!("{up}{}", outside.path.display());
            let root = bundle.rootfs();
            fs::remove_dir(root.join("dev")).unwrap();
            symlink(&to, root.join("dev")).unwrap();
            if !keep {
                // No mount on /dev: devices and links would go into the root itself.
                let mounts = bundle.config["mounts"].as_array_mut().unwrap();
                mounts.retain(|m| !m["destination"].as_str().unwrap().starts_with("/dev"));
            }
            // Refused or set up inside; which of them is not the matter here.
            drop(runtime.run(&format!("{form}{at}"), &bundle.sh("ls /dev")));
            outside.is_untouched();
        }
    }
    runtime.assert_nothing_left();

    let berth = Berth::new();
    for flags in [&["run", "--rm"][..], &["run", "--rm", "--rw"]] {
        let (bundle, root) = root_for(&berth);
        let outside = Outside::beside(bundle.path());
        fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
        symlink(&outside.path, bundle.rootfs().join("dev")).unwrap();
        let mut run = flags.to_vec();
        run.extend(["--rootfs", &root, "/bin/ls", "/dev"]);
        berth.run(&run);
        outside.is_untouched();
    }
    assert_eq!(dev(), before);
}
