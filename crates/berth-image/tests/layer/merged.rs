//! The view over stacked layers, and what an upper one changed.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;

use berth_image::layer::changes;
use berth_image::layer::merged::Stack;

use crate::tars::{E, file, folder, symlink};
use crate::world::{World, options, stack};

fn text(stack: &Stack, path: &str) -> Result<String, ErrorKind> {
    let mut text = String::new();
    stack
        .open_file(path.as_ref())
        .and_then(|mut file| file.read_to_string(&mut text))
        .map(|_| text)
        .map_err(|e| e.kind())
}

fn names(stack: &Stack, path: &str) -> String {
    let items = stack.read_dir(path.as_ref()).unwrap();
    let names = items.iter().map(|item| item.name.to_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

fn layers() -> [World; 3] {
    let of = |entries: &[E]| World::of(entries).0;
    [
        of(&[
            file("etc/passwd", "top"),
            file("etc/.wh.gone", ""),
            file(".wh.folder", ""),
            file("opaque/.wh..wh..opq", ""),
            file("opaque/new", "new"),
            symlink("became-link", "etc"),
        ]),
        of(&[
            file("etc/passwd", "middle"),
            file("etc/group", "middle"),
            file("etc/gone", "middle"),
            file("folder/x", ""),
            file("file-hides", "file"),
            symlink("abs", "/etc/passwd"),
            symlink("up", "../../etc/../etc/group"),
            symlink("loop", "loop"),
        ]),
        of(&[
            file("etc/shadow", "bottom"),
            file("etc/gone", "bottom"),
            file("opaque/old", ""),
            file("file-hides/below", ""),
            file("became-link/below", ""),
            file("opaque-below/x", "x"),
        ]),
    ]
}

#[test]
fn what_is_on_top_shows() {
    let [top, middle, bottom] = layers();
    let stack = stack(&[&top, &middle, &bottom]);
    assert_eq!(text(&stack, "/etc/passwd"), Ok("top".to_owned()));
    assert_eq!(text(&stack, "etc/group"), Ok("middle".to_owned()));
    assert_eq!(text(&stack, "/etc/shadow"), Ok("bottom".to_owned()));
    for gone in [
        "/etc/gone",
        "/folder",
        "/folder/x",
        "/opaque/old",
        "/nothing",
        "/file-hides/below",
    ] {
        assert!(text(&stack, gone).is_err(), "{gone}");
    }
    assert_eq!(
        text(&stack, "/file-hides/below"),
        Err(ErrorKind::NotADirectory)
    );
    assert_eq!(text(&stack, "/etc"), Err(ErrorKind::IsADirectory));
    assert_eq!(names(&stack, "/etc"), "group passwd shadow");
    assert_eq!(names(&stack, "/opaque"), "new");
    assert_eq!(
        names(&stack, "/"),
        "abs became-link etc file-hides loop opaque opaque-below up"
    );
}

#[test]
fn links_are_followed_within() {
    let [top, middle, bottom] = layers();
    let stack = stack(&[&top, &middle, &bottom]);
    assert_eq!(text(&stack, "/abs"), Ok("top".to_owned()));
    assert_eq!(text(&stack, "/up"), Ok("middle".to_owned()));
    assert_eq!(text(&stack, "/became-link/shadow"), Ok("bottom".to_owned()));
    assert_eq!(text(&stack, "/became-link/below"), Err(ErrorKind::NotFound));
    assert!(stack.open_file(Path::new("/loop")).is_err());
    assert_eq!(text(&stack, "../../../etc/./passwd"), Ok("top".to_owned()));
    let link = stack.symlink_metadata(Path::new("/abs")).unwrap();
    assert_eq!(link.st_mode & 0o170_000, 0o120_000);
    let target = stack.metadata(Path::new("/abs")).unwrap();
    assert_eq!(target.st_size, 3);
}

#[test]
fn a_link_out_of_the_stack_finds_nothing() {
    let (world, _) = World::of(&[
        symlink("out", "/proc/self/root/etc/passwd"),
        symlink("host", "/usr"),
    ]);
    let stack = stack(&[&world]);
    assert_eq!(text(&stack, "/out"), Err(ErrorKind::NotFound));
    assert_eq!(text(&stack, "/host/bin/env"), Err(ErrorKind::NotFound));
}

#[test]
fn pipes_and_devices_are_not_opened() {
    let (world, _) = World::of(&[file("pipe", "").kind(b'6')]);
    let stack = stack(&[&world]);
    assert_eq!(text(&stack, "/pipe"), Err(ErrorKind::InvalidInput));
}

fn listed(upper: &World, lowers: &[&World]) -> String {
    let all = changes(upper.fd().as_fd(), &stack(lowers), options().xattrs).unwrap();
    let lines = all
        .iter()
        .map(|c| format!("{} {}", c.kind.letter(), c.path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn changes_of_an_upper_layer() {
    let (lower, _) = World::of(&[
        folder("etc").mtime(1),
        file("etc/passwd", "x"),
        file("etc/gone", "x"),
        folder("same").mtime(1),
        folder("mode").mtime(1),
        folder("opaque").mtime(1),
        file("opaque/hidden", ""),
        file("opaque/again", ""),
        folder("replaced"),
        file("replaced/x", ""),
    ]);
    let (upper, _) = World::of(&[
        folder("etc").mtime(1),
        file("etc/passwd", "y"),
        file("etc/new", "y"),
        file("etc/.wh.gone", ""),
        file("etc/.wh.never-there", ""),
        folder("same").mtime(1),
        folder("mode").mtime(1).mode(0o700),
        folder("opaque").mtime(1),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/again", ""),
        file("replaced", "a file"),
        folder("added"),
        file("added/x", ""),
    ]);
    insta::assert_snapshot!(listed(&upper, &[&lower]), @r"
    A /added
    A /added/x
    C /etc
    D /etc/gone
    A /etc/new
    C /etc/passwd
    C /mode
    C /opaque
    C /opaque/again
    D /opaque/hidden
    C /replaced
    ");
    assert_eq!(listed(&World::of(&[]).0, &[&lower]), "");
}
