//! The same archives through other programs: GNU tar, umoci, and overlayfs itself.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;

use berth_image::layer::{PackOptions, Times, pack, pack_tree};

use crate::tars::{archive, device, file, folder, hard_link, symlink};
use crate::world::{World, is_root, listing, options, stack};

fn tree(root: &Path) {
    let script = r#"
        set -e; cd "$1"; umask 022
        mkdir -p a/b/c empty; echo text > a/file; ln a/file a/b/link; ln -s ../file a/b/sym
        head -c 300000 /dev/urandom > a/b/c/random; truncate -s 2M sparse; printf x | dd of=sparse bs=1 seek=500000 conv=notrunc status=none
        mkfifo pipe; chmod 4755 a/file; chmod 1777 empty; chmod 700 a/b
        long=$(printf 'n%.0s' $(seq 120)); mkdir -p $long/$long; echo deep > $long/$long/$long; ln -s $long/$long/$long longlink
        touch -d '2001-02-03 04:05:06.789' a/file; touch -d '1960-01-01' a/b/c/random; touch -d '2011-01-01' a/b a
    "#;
    let done = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(root)
        .status();
    assert!(done.unwrap().success());
}

fn have(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success())
}

#[test]
fn gnu_tar_extracts_what_we_do() {
    let source = tempfile::tempdir().unwrap();
    tree(source.path());
    for format in ["gnu", "posix", "ustar", "v7"] {
        compare(source.path(), format, None);
    }
    for (format, version) in [
        ("gnu", ""),
        ("oldgnu", ""),
        ("posix", "0.0"),
        ("posix", "0.1"),
        ("posix", "1.0"),
    ] {
        compare(source.path(), format, Some(version));
    }
}

fn compare(source: &Path, format: &str, sparse: Option<&str>) {
    let mut command = Command::new("tar");
    command.arg(format!("--format={format}")).arg("--xattrs");
    if let Some(version) = sparse {
        command.arg("--sparse");
        if format == "posix" {
            command.arg(format!("--sparse-version={version}"));
        }
    }
    if format != "posix" {
        command.arg("--no-xattrs");
    }
    let made = command
        .arg("-C")
        .arg(source)
        .args(["-cf", "-", "."])
        .output()
        .unwrap();
    // Old formats cannot hold long names; what they hold is compared.
    let world = World::new();
    world.unpack(&made.stdout).unwrap();
    let peer = tempfile::tempdir().unwrap();
    let archive = peer.path().join("archive");
    fs::write(&archive, &made.stdout).unwrap();
    let out = peer.path().join("out");
    fs::create_dir(&out).unwrap();
    let mut extract = Command::new("tar");
    extract
        .args(["-p", "-C"])
        .arg(&out)
        .arg("-xf")
        .arg(&archive);
    assert!(extract.status().unwrap().success());
    let (ours, theirs) = (listing(&world.path("")), listing(&out));
    for (path, line) in &theirs {
        assert_eq!(
            Some(line),
            ours.get(path),
            "{format} {sparse:?} {}",
            path.display()
        );
    }
    assert_eq!(ours.len(), theirs.len(), "{format} {sparse:?}");
}

#[test]
fn gnu_tar_reads_what_we_pack() {
    let source = tempfile::tempdir().unwrap();
    tree(source.path());
    let folder = crate::world::open(source.path());
    let packing = PackOptions {
        times: Times::Nanoseconds,
        ..PackOptions::default()
    };
    let archive = source.path().with_extension("tar");
    let out = fs::File::create(&archive).unwrap();
    pack(folder.as_fd(), out, &packing).unwrap();
    let peer = tempfile::tempdir().unwrap();
    let done = Command::new("tar")
        .args(["-p", "-C"])
        .arg(peer.path())
        .arg("-xf")
        .arg(&archive)
        .status();
    fs::remove_file(&archive).unwrap();
    assert!(done.unwrap().success());
    assert_eq!(listing(peer.path()), listing(source.path()));
}

#[test]
fn the_merged_view_is_overlayfs_own() {
    if !is_root() {
        return berth_testkit::skip("not root");
    }
    let (lower, _) = World::of(&[
        folder("./").mtime(1),
        file("etc/old", "1"),
        file("etc/gone", ""),
        file("opaque/old", ""),
        file("turns/x", ""),
        file("file", "old"),
        folder("kept").mode(0o1777),
    ]);
    let (upper, unpacked) = World::of(&[
        file("etc/new", "2"),
        file("etc/.wh.gone", ""),
        folder("opaque"),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/new", ""),
        file(".wh.turns", ""),
        folder("turns"),
        file("turns/y", ""),
        symlink("file", "etc/new"),
        hard_link("link", "etc/new"),
        hard_link("etc/below", "etc/old"),
        device("null", b'3', 1, 3),
    ]);
    let lowers = stack(&[&lower]);
    berth_image::layer::settle(upper.fd().as_fd(), &unpacked, &lowers, &options()).unwrap();
    let mount = tempfile::tempdir().unwrap();
    let at = mount.path().join("merged");
    fs::create_dir(&at).unwrap();
    // The mount lives in a namespace of its own and goes with the program.
    let script = r#"mount -t overlay overlay -o "lowerdir=$1:$2" "$3" && cd "$3" && tar --xattrs --sort=name --format=posix -cf - ."#;
    let made = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .args([upper.path(""), lower.path(""), at])
        .output()
        .unwrap();
    if !made.status.success() {
        return berth_testkit::skip("overlayfs cannot be mounted here");
    }
    let theirs = World::new();
    theirs.unpack(&made.stdout).unwrap();
    let mut tar = Vec::new();
    let packing = PackOptions {
        times: Times::Nanoseconds,
        ..PackOptions::default()
    };
    pack_tree(&stack(&[&upper, &lower]), &mut tar, &packing).unwrap();
    let ours = World::new();
    ours.unpack(&tar).unwrap();
    assert_eq!(listing(&ours.path("")), listing(&theirs.path("")));
}

#[test]
fn umoci_unpacks_what_we_do() {
    if !is_root() || !have("umoci") {
        return berth_testkit::skip("no umoci, or not root");
    }
    let long = "n".repeat(150);
    let tar = archive(&[
        folder("./").mode(0o755),
        folder("etc").mode(0o755),
        file("etc/passwd", "root").mode(0o4755).ids(33, 44),
        hard_link("etc/link", "etc/passwd"),
        symlink("sym", "etc"),
        file("sym/through", "x"),
        file("x", "")
            .pax("path", format!("etc/{long}"))
            .pax("mtime", "5.25"),
        folder("late").mtime(5),
        file("late/x", ""),
        device("null", b'3', 1, 3),
    ]);
    let world = World::new();
    world.unpack(&tar).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let layer = dir.path().join("layer.tar");
    fs::write(&layer, &tar).unwrap();
    let image = dir.path().join("image");
    let run = |args: &[&str]| {
        let done = Command::new("umoci").args(args).output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    let (image, reference) = (image.to_str().unwrap(), format!("{}:t", image.display()));
    run(&["init", "--layout", image]);
    run(&["new", "--image", &reference]);
    run(&[
        "raw",
        "add-layer",
        "--image",
        &reference,
        layer.to_str().unwrap(),
    ]);
    let out = dir.path().join("out");
    run(&[
        "raw",
        "unpack",
        "--image",
        &reference,
        out.to_str().unwrap(),
    ]);
    assert_eq!(listing(&world.path("")), listing(&out));
}
