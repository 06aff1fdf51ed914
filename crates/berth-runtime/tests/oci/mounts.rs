//! Mounts: order, destinations, masks, and the links in /dev.

use berth_testkit::covers;
use serde_json::json;

use crate::{output_of, refused, runtime};

#[test]
fn mounts_happen_in_order() {
    covers!("config/mounts-in-order");
    let runtime = runtime();
    let bundle = runtime.bundle();
    for name in ["first", "second"] {
        std::fs::create_dir_all(bundle.join(name).join("below")).unwrap();
        std::fs::write(bundle.join(name).join("name"), name).unwrap();
    }
    let (first, second) = (bundle.join("first"), bundle.join("second"));
    let bundle = bundle
        .bind(&first, "/mnt", &[])
        .bind(&second, "/mnt/below", &[])
        .sh("cat /mnt/name /mnt/below/name");
    assert_eq!(runtime.run("one", &bundle).ok().out, "firstsecond");
    // The other way round the later hides the earlier.
    let bundle = runtime
        .bundle()
        .bind(&second, "/mnt/below", &[])
        .bind(&first, "/mnt", &[])
        .sh("cat /mnt/name; ls /mnt/below; grep -c ' /mnt' /proc/self/mountinfo");
    let hidden = runtime.run("two", &bundle).ok().out;
    assert!(hidden.starts_with("first"), "{hidden}");
    assert!(!hidden.contains("name"), "{hidden}");
}

#[test]
fn a_destination_is_there_or_made() {
    covers!("config/mount-destination-required");
    let said = output_of(|b| {
        let file = b.join("file");
        std::fs::write(&file, "of the host").unwrap();
        b.mount("tmpfs", "tmpfs", "/made/by/the/runtime", &[])
            .bind(&file, "/also/made", &["ro"])
            .sh("cat /also/made; grep -c ' /made/by/the/runtime ' /proc/self/mountinfo")
    });
    assert_eq!(said, "of the host1\n");
    refused("mounts[6].destination", |b| {
        b.push("/mounts", json!({"type": "tmpfs", "source": "x"}))
    });
}

#[test]
fn a_relative_destination_is_below_the_root() {
    covers!("config/mount-destination-relative");
    let said = output_of(|b| {
        b.mount("tmpfs", "tmpfs", "mnt/deeper", &[])
            .set("/process/cwd", "/tmp")
            .sh("grep -c ' /mnt/deeper ' /proc/self/mountinfo")
    });
    assert_eq!(said, "1\n");
}

#[test]
fn a_destination_does_not_lead_outside() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    let outside = bundle.join("outside");
    std::fs::create_dir(&outside).unwrap();
    let link = bundle.rootfs().join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    std::os::unix::fs::symlink("../../../../..", bundle.rootfs().join("up")).unwrap();
    let bundle = bundle
        .mount("tmpfs", "tmpfs", "/link", &[])
        .mount("tmpfs", "tmpfs", "/up/over", &[])
        .mount("tmpfs", "tmpfs", "/../../over2", &[])
        .sh("cat /proc/self/mountinfo");
    let output = runtime.run("one", &bundle);
    // Refused, or below the root.
    if output.code == 0 {
        let root = bundle.rootfs();
        assert!(output.out.contains(" /over "), "{output:?}");
        assert!(output.out.contains(" /over2 "), "{output:?}");
        assert!(root.join("over").is_dir() && root.join("over2").is_dir());
    }
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    assert!(!std::path::Path::new("/over").exists() && !std::path::Path::new("/over2").exists());
    runtime.assert_nothing_left();
}

#[test]
fn a_bind_of_a_missing_source_is_refused() {
    let message = refused("mounts[6]", |b| {
        b.mount("bind", "/no/such/source", "/mnt", &["bind"])
    });
    assert!(message.contains("/no/such/source"), "{message}");
}

#[test]
fn a_relative_source_is_in_the_bundle() {
    let runtime = runtime();
    let bundle = runtime.bundle();
    std::fs::create_dir(bundle.join("data")).unwrap();
    std::fs::write(bundle.join("data/file"), "of the bundle").unwrap();
    let bundle = bundle
        .mount("none", "data", "/mnt", &["rbind"])
        .sh("cat /mnt/file");
    bundle.write();
    // From another working folder.
    assert_eq!(runtime.run("one", &bundle).ok().out, "of the bundle");
}

#[test]
fn a_file_system_that_is_none_is_refused() {
    covers!("runtime/create-cannot-apply");
    refused("mounts[6]", |b| b.mount("nonesuchfs", "none", "/mnt", &[]));
}

#[test]
fn an_option_that_the_file_system_does_not_know_is_refused() {
    covers!("config/invalid-refused");
    refused("mounts[6]", |b| {
        b.mount("tmpfs", "tmpfs", "/mnt", &["nonesuch=5"])
    });
}

#[test]
fn links_of_dev_lead_to_proc() {
    covers!("runtime-linux/dev-symlinks");
    let links = output_of(|b| b.sh("for l in fd stdin stdout stderr; do readlink /dev/$l; done"));
    assert_eq!(
        links,
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n"
    );
}

#[test]
fn masked_paths_cannot_be_read() {
    covers!("config-linux/masked-path-absolute");
    let runtime = runtime();
    let bundle = runtime.bundle();
    std::fs::create_dir(bundle.rootfs().join("secret")).unwrap();
    std::fs::write(bundle.rootfs().join("secret/file"), "x").unwrap();
    std::fs::write(bundle.rootfs().join("secret.txt"), "x").unwrap();
    let bundle = bundle
        .set(
            "/linux/maskedPaths",
            json!(["/secret", "/secret.txt", "/proc/version", "/no/such/path"]),
        )
        .sh(
            "ls -A /secret | wc -l; wc -c < /secret.txt; wc -c < /proc/version; \
             touch /secret/new && exit 9; true",
        );
    let said = runtime.run("one", &bundle).ok().out;
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "0"]);
    for relative in ["proc/kcore", "./secret"] {
        refused("linux.maskedPaths", |b| {
            b.push("/linux/maskedPaths", relative)
        });
    }
}

#[test]
fn read_only_paths_cannot_be_written() {
    covers!("config-linux/readonly-path-absolute");
    let said = output_of(|b| {
        b.set(
            "/linux/readonlyPaths",
            json!(["/proc/sys", "/etc", "/no/such/path"]),
        )
        .sh(
            "touch /etc/new && exit 9; echo 1 > /proc/sys/net/ipv4/ip_forward && exit 9; \
                 cat /etc/hostname",
        )
    });
    assert_eq!(said, "testkit\n");
    refused("linux.readonlyPaths", |b| {
        b.push("/linux/readonlyPaths", "proc/sys")
    });
}

#[test]
fn the_root_propagates_as_asked() {
    let tags = |word: &str| {
        let line = output_of(|b| {
            b.set("/linux/rootfsPropagation", word)
                .sh("awk '$5 == \"/\"' /proc/self/mountinfo | tail -n 1")
        });
        let fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let dash = fields.iter().position(|field| field == "-").unwrap();
        fields[6..dash].join(" ")
    };
    assert_eq!(tags("private"), "");
    assert!(tags("shared").contains("shared:"));
    assert_eq!(tags("unbindable"), "unbindable");
    assert!(!tags("slave").contains("shared:"));
    refused("linux.rootfsPropagation", |b| {
        b.set("/linux/rootfsPropagation", "nonesuch")
    });
}

#[test]
fn tmpcopyup_keeps_what_lay_below() {
    let said = output_of(|b| {
        b.mount("tmpfs", "tmpfs", "/etc", &["tmpcopyup", "mode=755"])
            .sh("cat /etc/hostname; touch /etc/new; stat -f -c %T /etc")
    });
    assert_eq!(said, "testkit\ntmpfs\n");
}

#[test]
fn mounts_do_not_reach_the_host() {
    let runtime = runtime();
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let bundle = runtime
        .bundle()
        .mount("tmpfs", "of-the-test", "/mnt", &[])
        .sleeping();
    let container = runtime.started("one", &bundle);
    let during = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!during.contains("of-the-test"), "{during}");
    container.end();
    let after = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert_eq!(before.lines().count(), after.lines().count());
}

/// What the host shares with us must not go when we let go of the old root. Seen to unmount the
/// `/proc` of a guest in the VM tier, whose bundles are on another mount than its root.
#[test]
fn letting_go_of_a_shared_root_unmounts_nothing_outside() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .set("/linux/rootfsPropagation", "shared")
        .args(&["true"]);
    // A mount namespace of the test's own plays the host, the bundle on a mount of its own in it.
    let host = "exec unshare --mount --propagation private sh -c '
        folder=$1; shift
        mount --bind \"$folder\" \"$folder\" && mount --make-rshared / || exit 90
        before=$(cut -d\" \" -f5 /proc/self/mountinfo | sort)
        \"$@\" || exit
        after=$(cut -d\" \" -f5 /proc/self/mountinfo | sort)
        [ \"$before\" = \"$after\" ] || { echo \"before: $before\"; echo \"after: $after\"; exit 91; }
        ' sh \"$BUNDLE\" \"$@\"";
    bundle.write();
    let path = bundle.path().to_str().unwrap();
    let mut command = runtime.through_shell(host, &["run", "--bundle", path, "one"]);
    drop(runtime.finish(command.env("BUNDLE", path)).ok());
}

#[test]
fn cgroups_mounted_inside_are_the_containers_own() {
    let runtime = runtime();
    let bundle = runtime
        .bundle()
        .namespace("cgroup")
        .mount(
            "cgroup",
            "cgroup",
            "/sys/fs/cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        )
        .sh("ls /sys/fs/cgroup; cat /proc/self/cgroup; mkdir /sys/fs/cgroup/*/x && exit 9; true");
    let output = runtime.run("one", &bundle).ok();
    for line in output.out.lines().filter(|line| line.contains(":/")) {
        assert!(line.ends_with(":/") || line.contains("name="), "{output:?}");
    }
    assert!(output.out.lines().count() > 3, "{output:?}");
    runtime.assert_nothing_left();
}
