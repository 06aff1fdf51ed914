//! Copies of trees.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use berth_image::layer::merged::{Last, Stack};
use berth_image::layer::tree::{CopyOptions, copy, copy_entry};

use crate::tars::{device, file, folder, hard_link, symlink};
use crate::world::{World, is_root, listing, options, stack};

fn copying() -> CopyOptions {
    CopyOptions {
        devices: options().devices,
        ids: options().ids,
        ..CopyOptions::default()
    }
}

#[test]
fn a_copy_is_equal() {
    let ids = |uid| if is_root() { uid } else { 0 };
    // Others than root cannot read what they took from themselves.
    let none = if is_root() { 0 } else { 0o700 };
    let mut entries = vec![
        folder("./").mode(0o751).mtime(11),
        folder("a").mode(0o1777).mtime(12).ids(ids(3), ids(4)),
        file("a/file", "x".repeat(100_000))
            .mode(0o4711)
            .mtime(13)
            .ids(ids(5), ids(6)),
        hard_link("a/link", "a/file"),
        hard_link("link", "a/file"),
        symlink("sym", "nowhere").mtime(14),
        file("empty", "").mode(none).mtime(15),
        file("pipe", "").kind(b'6').mode(0o600),
        file("attribute", "").pax("SCHILY.xattr.user.x", "y"),
        folder("deep/er").mode(none),
    ];
    if is_root() {
        entries.push(device("null", b'3', 1, 3).mode(0o666));
    }
    let (world, _) = World::of(&entries);
    let into = World::new();
    let stack = Stack::plain(world.fd()).unwrap();
    let copied = copy(&stack, Path::new("/"), into.fd().as_fd(), &copying()).unwrap();
    assert_eq!(copied.entries, entries.len() as u64);
    assert_eq!(listing(&into.path("")), listing(&world.path("")));
}

#[test]
fn a_folder_of_stacked_layers() {
    let (lower, _) = World::of(&[file("data/old", "1"), file("data/gone", "")]);
    let (upper, _) = World::of(&[
        file("data/new", "2"),
        file("data/.wh.gone", ""),
        symlink("link", "/data"),
    ]);
    let into = World::new();
    let stack = stack(&[&upper, &lower]);
    copy(&stack, Path::new("/link"), into.fd().as_fd(), &copying()).unwrap();
    assert_eq!(into.read("old") + &into.read("new"), "12");
    assert!(!into.exists("gone"));
    // What is there already stays.
    assert!(copy(&stack, Path::new("/data"), into.fd().as_fd(), &copying()).is_err());
    assert!(
        copy(
            &stack,
            Path::new("/data/new"),
            into.fd().as_fd(),
            &copying()
        )
        .is_err()
    );
}

#[test]
fn one_entry_under_a_new_name() {
    let (world, _) = World::of(&[file("a/file", "x").mtime(7), symlink("a/sym", "file")]);
    let stack = Stack::plain(world.fd()).unwrap();
    let into = World::new();
    for (path, name) in [("a", "b"), ("a/file", "f"), ("a/sym", "s")] {
        let found = stack.find(path.as_ref(), Last::Keep).unwrap();
        copy_entry(&stack, &found, into.fd().as_fd(), name.as_ref(), &copying()).unwrap();
    }
    assert_eq!(into.read("b/file") + &into.read("f"), "xx");
    assert_eq!(into.meta("f").mtime(), 7);
    assert!(into.meta("s").is_symlink());
}

#[test]
fn holes_stay_holes() {
    let world = World::new();
    let source = fs::File::create(world.path("sparse")).unwrap();
    source.write_all_at(b"begin", 0).unwrap();
    source.write_all_at(b"middle", 4 << 20).unwrap();
    source.set_len(64 << 20).unwrap();
    if world.meta("sparse").blocks() * 512 > 1 << 20 {
        return berth_testkit::skip("no sparse files on the file system of temporary files");
    }
    let into = World::new();
    let stack = Stack::plain(world.fd()).unwrap();
    copy(&stack, Path::new("."), into.fd().as_fd(), &copying()).unwrap();
    assert_eq!(into.meta("sparse").len(), 64 << 20);
    assert!(into.meta("sparse").blocks() * 512 <= 1 << 20);
    assert!(fs::read(into.path("sparse")).unwrap() == fs::read(world.path("sparse")).unwrap());
}
