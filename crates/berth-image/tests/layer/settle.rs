//! What the layers below tell of a layer.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use berth_image::layer::{XattrSpace, merged::Stack, settle};

use crate::tars::{E, file, folder, hard_link, symlink};
use crate::world::{World, is_root, options, stack};

fn settled(lower: &[E], upper: &[E]) -> (World, World, Stack) {
    let (below, _) = World::of(lower);
    let (world, unpacked) = World::of(upper);
    settle(world.fd().as_fd(), &unpacked, &stack(&[&below]), &options()).unwrap();
    let merged = stack(&[&world, &below]);
    (world, below, merged)
}

#[test]
fn implied_folders_look_like_those_below() {
    let (world, ..) = settled(
        &[
            folder("./").mode(0o711).mtime(3),
            folder("a").mode(0o1777).mtime(4),
            folder("a/b").mode(0o700).mtime(5),
        ],
        &[file("a/b/c", "x"), file("new/d", "")],
    );
    let of = |name: &str| {
        let meta = world.meta(name);
        (meta.mode() & 0o7777, meta.mtime())
    };
    assert_eq!(of(""), (0o711, 3));
    assert_eq!(of("a"), (0o1777, 4));
    assert_eq!(of("a/b"), (0o700, 5));
    assert_eq!(of("new"), (0o755, 0));
}

#[test]
fn hard_links_into_layers_below() {
    let (world, below, _) = settled(
        &[
            folder("a").mtime(4),
            file("a/file", "content").mode(0o640).mtime(7),
        ],
        &[
            folder("a").mtime(9),
            hard_link("a/link", "a/file"),
            hard_link("top", "a/file"),
        ],
    );
    assert_eq!(world.read("top"), "content");
    let link = world.meta("a/link");
    assert_eq!(
        (link.mode() & 0o7777, link.mtime(), link.nlink()),
        (0o640, 7, 3)
    );
    assert_eq!(link.ino(), world.meta("a/file").ino());
    assert_eq!(world.meta("a").mtime(), 9);
    assert_eq!(below.meta("a/file").nlink(), 1);
    // Without the target's folder the link is a copy.
    let (world, ..) = settled(&[file("a/file", "content")], &[hard_link("b", "a/file")]);
    assert_eq!(
        (world.read("b"), world.meta("b").nlink()),
        ("content".to_owned(), 1)
    );
    assert!(!world.exists("a"));
}

#[test]
fn a_link_into_a_layer_below_wins_over_what_came_before() {
    let (world, ..) = settled(
        &[file("a", "below")],
        &[
            file("b", "before"),
            folder("c/d"),
            hard_link("b", "a"),
            hard_link("c", "a"),
        ],
    );
    assert_eq!(world.read("b") + &world.read("c"), "belowbelow");
}

#[test]
fn hard_links_to_nothing_are_refused() {
    let (below, _) = World::of(&[folder("folder"), symlink("link", "folder")]);
    for (target, ok) in [("nothing", false), ("folder", false), ("link", true)] {
        let (world, unpacked) = World::of(&[hard_link("x", target)]);
        let done = settle(world.fd().as_fd(), &unpacked, &stack(&[&below]), &options());
        assert_eq!(done.is_ok(), ok, "{target}");
    }
}

#[test]
fn an_opaque_root_hides_name_by_name() {
    let (world, _, merged) = settled(
        &[
            file("gone", ""),
            folder("both"),
            file("both/old", ""),
            file("kept", "old"),
        ],
        &[
            file(".wh..wh..opq", ""),
            file("both/new", ""),
            file("kept", "new"),
        ],
    );
    assert!(world.is_whiteout("gone") && world.is_opaque("both"));
    assert_eq!(world.read("kept"), "new");
    let names = |path: &str| -> Vec<String> {
        let items = merged.read_dir(path.as_ref()).unwrap();
        items
            .into_iter()
            .map(|i| i.name.into_string().unwrap())
            .collect()
    };
    assert_eq!(names("/"), ["both", "kept"]);
    assert_eq!(names("/both"), ["new"]);
}

#[test]
fn the_lowest_layer_settles_on_nothing() {
    let (world, unpacked) = World::of(&[file("a/b", "")]);
    let none = Stack::new(Vec::new(), XattrSpace::Trusted).unwrap();
    settle(world.fd().as_fd(), &unpacked, &none, &options()).unwrap();
    assert_eq!(world.meta("a").mode() & 0o7777, 0o755);
    if is_root() {
        assert_eq!(world.meta("a").uid(), 0);
    }
}
