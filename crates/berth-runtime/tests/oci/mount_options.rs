//! Each option string of the specification, on a mount where it can be seen.

use berth_testkit::covers;

use crate::{output_of, runtime};

/// Mounts a tmpfs with these options: its options in mountinfo, of the mount and of the file
/// system, joined by commas, and the tags of its propagation.
fn tmpfs(options: &[&str]) -> String {
    let line = output_of(|b| {
        b.mount("tmpfs", "tmpfs", "/mnt", options).args(&[
            "grep",
            " / /mnt ",
            "/proc/self/mountinfo",
        ])
    });
    let fields: Vec<&str> = line.trim().split(' ').collect();
    let dash = fields.iter().position(|field| *field == "-").unwrap();
    let tags = fields[6..dash].join(",");
    format!(",{},{},{tags},", fields[5], fields[dash + 3])
}

#[track_caller]
fn assert_options(options: &[&str], present: &[&str], absent: &[&str]) {
    let all = tmpfs(options);
    for word in present {
        assert!(
            all.contains(&format!(",{word},")),
            "{options:?}: no {word} in {all}"
        );
    }
    for word in absent {
        assert!(
            !all.contains(&format!(",{word},")),
            "{options:?}: {word} in {all}"
        );
    }
}

#[test]
fn options_of_the_mount_are_set() {
    covers!(
        "config/mount-option-ro",
        "config/mount-option-nosuid",
        "config/mount-option-nodev",
        "config/mount-option-noexec",
        "config/mount-option-noatime",
        "config/mount-option-nodiratime",
        "config/mount-option-relatime",
        "features/mount-options",
    );
    assert_options(
        &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"],
        &["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"],
        &["relatime"],
    );
    assert_options(&["relatime"], &["rw", "relatime"], &["noatime", "ro"]);
    assert_options(&["nosymfollow"], &["nosymfollow"], &[]);
}

#[test]
fn later_options_undo_earlier_ones() {
    covers!(
        "config/mount-option-rw",
        "config/mount-option-suid",
        "config/mount-option-dev",
        "config/mount-option-exec",
        "config/mount-option-atime",
        "config/mount-option-diratime",
        "config/mount-option-strictatime",
        "config/mount-option-norelatime",
        "config/mount-option-nostrictatime",
        "config/mount-option-defaults",
    );
    assert_options(
        &[
            "ro",
            "nosuid",
            "nodev",
            "noexec",
            "nodiratime",
            "rw",
            "suid",
            "dev",
            "exec",
            "diratime",
        ],
        &["rw"],
        &["ro", "nosuid", "nodev", "noexec", "nodiratime"],
    );
    assert_options(&["noatime", "atime"], &[], &["noatime"]);
    assert_options(&["strictatime"], &[], &["noatime", "relatime"]);
    assert_options(&["relatime", "norelatime"], &[], &["noatime"]);
    assert_options(&["strictatime", "nostrictatime"], &[], &["noatime"]);
    assert_options(&["defaults"], &["rw"], &["ro", "nosuid", "nodev", "noexec"]);
}

#[test]
fn options_of_the_file_system_are_set() {
    covers!(
        "config/mount-option-sync",
        "config/mount-option-async",
        "config/mount-option-dirsync",
        "config/mount-option-lazytime",
        "config/mount-option-nolazytime",
        "config/mount-option-iversion",
        "config/mount-option-noiversion",
        "config/mount-option-silent",
        "config/mount-option-loud",
    );
    assert_options(
        &["sync", "dirsync", "lazytime"],
        &["sync", "dirsync", "lazytime"],
        &[],
    );
    assert_options(&["sync", "async"], &[], &["sync"]);
    assert_options(&["lazytime", "nolazytime"], &[], &["lazytime"]);
    // The kernel shows none of these; that they are no options of the file system is to be seen
    // in that tmpfs, which refuses what it does not know, is mounted.
    assert_options(&["iversion", "noiversion"], &["rw"], &[]);
    assert_options(&["iversion"], &["rw"], &[]);
    assert_options(&["silent", "loud"], &["rw"], &[]);
    assert_options(&["mand", "nomand"], &["rw"], &[]);
}

#[test]
fn mounts_propagate_as_asked() {
    covers!(
        "config/mount-option-private",
        "config/mount-option-shared",
        "config/mount-option-slave",
        "config/mount-option-unbindable",
        "config/mount-option-rprivate",
        "config/mount-option-rshared",
        "config/mount-option-rslave",
        "config/mount-option-runbindable",
    );
    for prefix in ["", "r"] {
        let word = |kind: &str| format!("{prefix}{kind}");
        let all = tmpfs(&[&word("private")]);
        assert!(
            !all.contains("shared:") && !all.contains("master:"),
            "{all}"
        );
        let all = tmpfs(&[&word("shared")]);
        assert!(all.contains("shared:"), "{prefix}: {all}");
        let all = tmpfs(&[&word("unbindable")]);
        assert!(all.contains("unbindable"), "{prefix}: {all}");
        // A slave needs a master: of a private mount it makes a private one.
        let all = tmpfs(&[&word("slave")]);
        assert!(!all.contains("shared:"), "{prefix}: {all}");
    }
}

#[test]
fn a_slave_hears_of_its_masters_mounts() {
    covers!("config/mount-option-rslave", "config/mount-option-rbind");
    let runtime = runtime();
    // The master is in a mount namespace of the test's own: the host's mounts are not ours.
    let bundle = runtime.bundle();
    let shared = bundle.join("shared");
    std::fs::create_dir_all(shared.join("below")).unwrap();
    let bundle = bundle
        .mount(
            "none",
            shared.to_str().unwrap(),
            "/mnt",
            &["rbind", "rslave"],
        )
        .sh(
            "echo ready; for i in $(seq 200); do [ -e /mnt/below/late ] && break; sleep 0.02; done; \
             grep /mnt/below /proc/self/mountinfo",
        );
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = format!(
        "exec unshare -m --propagation private -- sh -c '\
           mount --bind {0} {0} && mount --make-shared {0} && \
           \"$@\" & \
           for i in $(seq 200); do grep -q ready {1} && break; sleep 0.05; done; \
           mount -t tmpfs late {0}/below && touch {0}/below/late; wait' sh \"$@\"",
        shared.display(),
        runtime.path("ready").display(),
    );
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    let mut child = command
        .stdout(std::fs::File::create(runtime.path("ready")).unwrap())
        .spawn()
        .unwrap();
    berth_testkit::finish(&mut child);
    let said = std::fs::read_to_string(runtime.path("ready")).unwrap();
    assert!(
        said.contains("late") && said.contains("/mnt/below"),
        "{said}"
    );
}

#[test]
fn binds_show_the_source_with_or_without_what_is_below() {
    covers!("config/mount-option-bind", "config/mount-option-rbind");
    let runtime = runtime();
    let bundle = runtime.bundle();
    let tree = bundle.join("tree");
    std::fs::create_dir_all(tree.join("below")).unwrap();
    std::fs::write(tree.join("file"), "x").unwrap();
    let tree = tree.to_str().unwrap().to_owned();
    let bundle = bundle
        .mount("none", &tree, "/mnt/one", &["bind"])
        .mount("none", &tree, "/mnt/all", &["rbind"])
        .sh("ls /mnt/one /mnt/all /mnt/one/below /mnt/all/below");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = format!(
        "exec unshare -m --propagation private -- sh -c 'mount -t tmpfs t {tree}/below && \
         touch {tree}/below/deep && exec \"$@\"' sh \"$@\""
    );
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    let said = runtime.finish(&mut command).ok().out;
    let section = |name: &str| {
        let text = said.split(&format!("{name}:\n")).nth(1).unwrap();
        text.split("\n\n")
            .next()
            .unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(section("/mnt/one"), ["below", "file"]);
    assert!(section("/mnt/one/below").is_empty(), "{said}");
    assert_eq!(section("/mnt/all/below"), ["deep"]);
}

#[test]
fn a_bind_takes_options_of_its_own() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    let folder = bundle.join("folder");
    std::fs::create_dir(&folder).unwrap();
    let bundle = bundle
        .bind(&folder, "/mnt", &["ro", "nosuid", "nodev", "noexec"])
        .sh("touch /mnt/new && exit 9; grep ' /mnt ' /proc/self/mountinfo");
    let line = runtime.run("one", &bundle).ok().out;
    for word in ["ro,", "nosuid", "nodev", "noexec"] {
        assert!(line.split(' ').nth(5).unwrap().contains(word), "{line}");
    }
}

#[test]
fn recursive_options_reach_what_is_below() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    let tree = bundle.join("tree");
    std::fs::create_dir_all(tree.join("below")).unwrap();
    let tree = tree.to_str().unwrap().to_owned();
    let bundle = bundle
        .mount(
            "none",
            &tree,
            "/mnt/a",
            &["rbind", "rro", "rnosuid", "rnodev", "rnoexec"],
        )
        .mount("none", &tree, "/mnt/b", &["rbind", "ro"])
        .sh("grep ' /mnt/' /proc/self/mountinfo");
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let script = format!(
        "exec unshare -m --propagation private -- sh -c 'mount -t tmpfs t {tree}/below && \
         exec \"$@\"' sh \"$@\""
    );
    let mut command = runtime.through_shell(&script, &["run", "--bundle", path, "one"]);
    let said = runtime.finish(&mut command).ok().out;
    let options = |place: &str| {
        let line = said
            .lines()
            .find(|line| line.contains(&format!(" {place} ")))
            .unwrap();
        format!(",{},", line.split(' ').nth(5).unwrap())
    };
    for word in [",ro,", ",nosuid,", ",nodev,", ",noexec,"] {
        assert!(options("/mnt/a").contains(word), "{said}");
        assert!(options("/mnt/a/below").contains(word), "{said}");
    }
    assert!(options("/mnt/b").contains(",ro,"), "{said}");
    assert!(options("/mnt/b/below").contains(",rw,"), "{said}");
}

#[test]
fn remount_changes_a_mount_in_its_place() {
    covers!("config/mount-option-remount");
    let line = output_of(|b| {
        b.mount("tmpfs", "tmpfs", "/mnt", &["size=64k"])
            .mount("tmpfs", "tmpfs", "/mnt", &["remount", "ro", "nosuid"])
            .sh("grep ' / /mnt ' /proc/self/mountinfo")
    });
    assert_eq!(line.lines().count(), 1, "{line}");
    let options = line.split(' ').nth(5).unwrap();
    assert!(
        options.contains("ro") && options.contains("nosuid"),
        "{line}"
    );
}

#[test]
fn options_of_the_file_systems_own_are_passed_on() {
    let options = tmpfs(&["size=128k", "mode=1770", "nr_inodes=100"]);
    for word in [",size=128k,", ",mode=1770,", ",nr_inodes=100,"] {
        assert!(options.contains(word), "{options}");
    }
}
