//! What entries become.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use berth_image::Hasher;
use berth_image::layer::{Devices, Ids, UnpackOptions, XattrSpace};

use crate::tars::{archive, device, file, folder, hard_link, meta, symlink};
use crate::world::{World, is_root, options};

#[test]
fn kinds_of_entries() {
    let (world, unpacked) = World::of(&[
        folder("./").mode(0o700).mtime(5),
        folder("etc/").mode(0o751).mtime(6),
        file("etc/passwd", "root").mode(0o600).mtime(7),
        symlink("etc/mtab", "/proc/mounts").mtime(8),
        hard_link("etc/passwd-", "etc/passwd"),
        file("pipe", "").kind(b'6').mode(0o640).mtime(9),
        file("old", "v7").kind(0),
        folder("oldfolder/").kind(0),
        file("contiguous", "7").kind(b'7'),
        file("socket", "").kind(b's'),
    ]);
    assert_eq!(unpacked.entries, 10);
    assert!(unpacked.implied.is_empty() && unpacked.notes.is_empty());
    let root = world.meta("");
    assert_eq!((root.mode() & 0o7777, root.mtime()), (0o700, 5));
    let etc = world.meta("etc");
    assert_eq!((etc.mode() & 0o7777, etc.mtime()), (0o751, 6));
    let passwd = world.meta("etc/passwd");
    assert_eq!((passwd.mode() & 0o7777, passwd.mtime()), (0o600, 7));
    assert_eq!(passwd.ino(), world.meta("etc/passwd-").ino());
    let link = fs::read_link(world.path("etc/mtab")).unwrap();
    assert_eq!(link, PathBuf::from("/proc/mounts"));
    assert_eq!(world.meta("etc/mtab").mtime(), 8);
    let pipe = world.meta("pipe");
    assert!(pipe.file_type().is_fifo());
    assert_eq!((pipe.mode() & 0o7777, pipe.mtime()), (0o640, 9));
    assert_eq!(world.read("old") + &world.read("contiguous"), "v77");
    assert!(world.meta("oldfolder").is_dir());
    assert!(!world.exists("socket"));
}

#[test]
fn the_diff_id_covers_all_that_follows() {
    let mut tar = archive(&[file("a", "x")]);
    tar.extend_from_slice(&[0; 8 * 1024]);
    tar.extend_from_slice(b"and garbage after the end");
    let world = World::new();
    let unpacked = world.unpack(&tar).unwrap();
    assert_eq!(unpacked.diff_id, Hasher::sha256(&tar));
    assert_eq!(unpacked.bytes, tar.len() as u64);
}

#[test]
fn large_archives_take_the_threads() {
    let data: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 253) as u8).collect();
    let tar = archive(&[
        file("a", &data),
        file("b", &data[..999_999]),
        file("c", "c"),
    ]);
    let world = World::new();
    let unpacked = world.unpack(&tar).unwrap();
    assert_eq!(unpacked.diff_id, Hasher::sha256(&tar));
    assert!(fs::read(world.path("a")).unwrap() == data);
    assert!(fs::read(world.path("b")).unwrap() == data[..999_999]);
    assert_eq!(world.read("c"), "c");
}

#[test]
fn an_empty_stream_is_an_empty_layer() {
    let world = World::new();
    let unpacked = world.unpack(b"").unwrap();
    assert_eq!((unpacked.entries, unpacked.bytes), (0, 0));
    assert_eq!(unpacked.implied, [PathBuf::from(".")]);
    // A single empty block, and one without padding, end an archive too.
    world.unpack(&[0; 512]).unwrap();
    let mut tar = file("a", "x").bytes();
    tar.truncate(512 + 1);
    world.unpack(&tar).unwrap();
    assert_eq!(world.read("a"), "x");
}

#[test]
fn folders_that_entries_need_are_made_and_told() {
    let (world, unpacked) = World::of(&[
        file("a/b/c", "x"),
        folder("a/b").mode(0o700),
        file("d/e", "y"),
    ]);
    let implied: Vec<PathBuf> = [".", "a", "d"].map(PathBuf::from).to_vec();
    assert_eq!(unpacked.implied, implied);
    let a = world.meta("a");
    assert_eq!((a.mode() & 0o7777, a.mtime()), (0o755, 0));
    assert_eq!(world.meta("a/b").mode() & 0o7777, 0o700);
}

#[test]
fn the_later_entry_wins() {
    let (world, _) = World::of(&[
        file("file", "1"),
        file("file", "2").mode(0o600),
        folder("tree"),
        file("tree/deep/file", "x"),
        file("tree", "a file now"),
        file("back", "x"),
        folder("back"),
        file("back/in", "y"),
        symlink("link", "file"),
        file("link", "no link"),
        folder("same").mode(0o700),
        file("same/kept", "z"),
        folder("same").mode(0o711),
        symlink("dir", "same"),
        folder("dir"),
        hard_link("file", "back/in"),
    ]);
    assert_eq!(world.read("file"), "y");
    assert_eq!(world.read("tree"), "a file now");
    assert_eq!(world.read("back/in"), "y");
    assert!(world.meta("link").is_file());
    assert_eq!(world.read("link"), "no link");
    assert_eq!(world.meta("same").mode() & 0o7777, 0o711);
    assert!(world.exists("same/kept"));
    assert!(world.meta("dir").is_dir());
}

#[test]
fn long_names_of_both_kinds() {
    let long = "d".repeat(120) + "/" + &"f".repeat(120);
    let target = "t".repeat(300);
    let mut tar = meta(b'L', format!("{long}\0").as_bytes());
    tar.extend(file("short", "gnu").bytes());
    tar.extend(meta(b'K', format!("{target}\0").as_bytes()));
    tar.extend(meta(b'L', format!("{long}.link\0").as_bytes()));
    tar.extend(symlink("short", "short").bytes());
    tar.extend(
        file("short", "pax")
            .pax("path", format!("{long}.pax"))
            .bytes(),
    );
    tar.extend(
        symlink("short", "x")
            .pax("path", format!("{long}.ln"))
            .pax("linkpath", &target)
            .bytes(),
    );
    let world = World::new();
    world.unpack(&tar).unwrap();
    assert_eq!(world.read(&long), "gnu");
    assert_eq!(world.read(&format!("{long}.pax")), "pax");
    for name in [".link", ".ln"] {
        let link = fs::read_link(world.path(&format!("{long}{name}"))).unwrap();
        assert_eq!(link, PathBuf::from(&target));
    }
}

#[test]
fn extended_headers_win_over_headers() {
    let mut tar = meta(b'g', b"19 path=from global\n");
    tar.extend(
        file("file", "12345")
            .size(0)
            .pax("size", "5")
            .pax("mtime", "1234567890.123456789")
            .pax("atime", "1")
            .pax("comment", "")
            .pax("SCHILY.xattr.user.one", "1\0=\n2")
            .pax("LIBARCHIVE.xattr.user.t%77o", "AQACAw==")
            .bytes(),
    );
    tar.extend(file("next", "").pax("mtime", "-1.5").bytes());
    let world = World::new();
    world.unpack(&tar).unwrap();
    assert_eq!(world.read("file"), "12345");
    let file = world.meta("file");
    assert_eq!(
        (file.mtime(), file.mtime_nsec()),
        (1_234_567_890, 123_456_789)
    );
    let next = world.meta("next");
    assert_eq!((next.mtime(), next.mtime_nsec()), (-2, 500_000_000));
    if world.xattr("file", "user.one").is_none() {
        return berth_testkit::skip("no user attributes on the file system of temporary files");
    }
    assert_eq!(world.xattr("file", "user.one").unwrap(), b"1\0=\n2");
    assert_eq!(world.xattr("file", "user.two").unwrap(), [1, 0, 2, 3]);
}

#[test]
fn whiteouts_and_opaque_folders() {
    let (world, _) = World::of(&[
        folder("a"),
        file("a/.wh.gone", ""),
        file("a/.wh..wh..opq", ""),
        file(".wh.top", ""),
        file("new/.wh..wh..opq", ""),
        file(".wh..wh.aufs", ""),
        file(".wh..wh.orph/x", ""),
    ]);
    assert!(world.is_whiteout("a/gone") && world.is_whiteout("top"));
    assert!(world.is_opaque("a") && world.is_opaque("new"));
    assert!(!world.exists(".wh.top") && !world.exists("a/.wh.gone"));
    assert!(!world.exists(".wh..wh.aufs") && !world.exists(".wh..wh.orph"));
}

#[test]
fn a_whiteout_beside_an_entry_hides_what_is_below_alone() {
    let (world, _) = World::of(&[
        file(".wh.first", ""),
        folder("first"),
        folder("second"),
        file("second/x", ""),
        file(".wh.second", ""),
        file(".wh.third", ""),
        file("third", "new"),
        file("fourth", "new"),
        file(".wh.fourth", ""),
        file(".wh.fifth", ""),
        file("fifth/deep/x", "new"),
    ]);
    for name in ["first", "second", "fifth"] {
        assert!(world.meta(name).is_dir() && world.is_opaque(name), "{name}");
    }
    assert!(!world.is_opaque("fifth/deep"));
    assert!(world.exists("second/x"));
    assert_eq!(world.read("third") + &world.read("fourth"), "newnew");
    assert_eq!(world.read("fifth/deep/x"), "new");
}

#[test]
fn an_opaque_root_is_told() {
    let (_, unpacked) = World::of(&[file(".wh..wh..opq", ""), file("a", "")]);
    assert!(unpacked.opaque_root);
}

#[test]
fn links_of_the_layer_are_followed_inside() {
    let (world, unpacked) = World::of(&[
        folder("usr"),
        symlink("lib", "usr/lib"),
        file("lib/a", "1"),
        symlink("abs", "/usr/./lib"),
        file("abs/deep/b", "2"),
        symlink("usr/up", "../usr/lib/.."),
        file("usr/up/c", "3"),
        hard_link("d", "abs/a"),
        file("lib/.wh.gone", ""),
    ]);
    assert!(world.meta("lib").is_symlink());
    assert_eq!(world.read("usr/lib/a"), "1");
    assert_eq!(world.read("usr/lib/deep/b"), "2");
    assert_eq!(world.read("usr/c"), "3");
    assert_eq!(world.meta("d").ino(), world.meta("usr/lib/a").ino());
    assert!(world.is_whiteout("usr/lib/gone"));
    let implied: Vec<PathBuf> = [".", "usr/lib", "usr/lib/deep"].map(PathBuf::from).to_vec();
    assert_eq!(unpacked.implied, implied);
}

#[test]
fn hard_links_may_come_first_and_to_links() {
    let (world, unpacked) = World::of(&[
        hard_link("before", "file"),
        file("file", "x"),
        symlink("sym", "nowhere"),
        hard_link("sym2", "sym"),
        hard_link("missing", "not/here"),
    ]);
    assert_eq!(world.meta("before").ino(), world.meta("file").ino());
    assert_eq!(world.meta("sym").ino(), world.meta("sym2").ino());
    assert_eq!(unpacked.pending_links.len(), 1);
    assert_eq!(unpacked.pending_links[0].target, PathBuf::from("not/here"));
}

#[test]
fn links_through_the_folder_of_aufs() {
    let (world, unpacked) = World::of(&[
        folder(".wh..wh.plnk"),
        file(".wh..wh.plnk/1.2", "content"),
        hard_link("a", ".wh..wh.plnk/1.2"),
        hard_link("b", ".wh..wh.plnk/1.2"),
    ]);
    assert_eq!(world.read("a"), "content");
    assert_eq!(world.meta("a").ino(), world.meta("b").ino());
    assert!(!world.exists(".wh..wh.plnk"));
    assert!(unpacked.pending_links.is_empty());
}

#[test]
fn folders_that_lock_their_owner_out() {
    let (world, _) = World::of(&[
        folder("a").mode(0),
        folder("a/b").mode(0),
        file("a/b/c", "x").mode(0),
    ]);
    assert_eq!(world.meta("a").mode() & 0o7777, 0);
    fs::set_permissions(world.path("a"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(world.meta("a/b").mode() & 0o7777, 0);
    fs::set_permissions(world.path("a/b"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(world.meta("a/b/c").mode() & 0o7777, 0);
}

#[test]
fn owners_modes_and_capabilities() {
    if !is_root() {
        return berth_testkit::skip("not root");
    }
    let mut capability = vec![1, 0, 0, 2];
    capability.extend_from_slice(&[0, 0x20, 0, 0]);
    capability.resize(20, 0);
    let high = 4_000_000_000_u64;
    let (world, unpacked) = World::of(&[
        folder("set").mode(0o2775).ids(0, 50),
        file("set/child", "").ids(0, 0),
        file("su", "x").mode(0o4755).ids(33, 44),
        file("cap", "x")
            .ids(5, 6)
            .pax("SCHILY.xattr.security.capability", &capability),
        file("high", "").ids(high, high + 1),
        file("pax", "").pax("uid", "3000000000").pax("gid", "7"),
        folder("sticky").mode(0o1777).ids(1, 1),
        symlink("link", "su").ids(8, 9),
        device("null", b'3', 1, 3).mode(0o666).ids(0, 6),
        device("disk", b'4', 259, 70_000).mode(0o660),
        device("nothing", b'3', 0, 0),
    ]);
    assert!(unpacked.notes.is_empty(), "{:?}", unpacked.notes);
    let of = |name: &str| {
        let meta = world.meta(name);
        (meta.mode() & 0o7777, meta.uid(), meta.gid())
    };
    assert_eq!(of("set"), (0o2775, 0, 50));
    assert_eq!(of("set/child"), (0o644, 0, 0));
    assert_eq!(of("su"), (0o4755, 33, 44));
    assert_eq!(of("cap"), (0o644, 5, 6));
    assert_eq!(
        world.xattr("cap", "security.capability").unwrap(),
        capability
    );
    assert_eq!(of("high"), (0o644, 4_000_000_000, 4_000_000_001));
    assert_eq!(of("pax"), (0o644, 3_000_000_000, 7));
    assert_eq!(of("sticky"), (0o1777, 1, 1));
    assert_eq!((of("link").1, of("link").2), (8, 9));
    assert_eq!(of("null"), (0o666, 0, 6));
    assert!(world.meta("null").file_type().is_char_device());
    assert_eq!(world.meta("null").rdev(), rustix::fs::makedev(1, 3));
    assert!(world.meta("disk").file_type().is_block_device());
    assert_eq!(world.meta("disk").rdev(), rustix::fs::makedev(259, 70_000));
    assert!(world.is_whiteout("nothing"));
}

#[test]
fn one_id_for_everything() {
    let world = World::new();
    let squash = UnpackOptions {
        ids: Ids::Squash,
        devices: Devices::Skip,
        ..options()
    };
    let tar = archive(&[
        file("a", "").ids(12, 34).mode(0o4755),
        folder("b").ids(1, 1),
    ]);
    world.unpack_with(&tar, &squash).unwrap();
    let own = rustix::process::geteuid().as_raw();
    assert_eq!((world.meta("a").uid(), world.meta("b").uid()), (own, own));
    assert_eq!(world.meta("a").mode() & 0o7777, 0o4755);
}

#[test]
fn attributes_of_overlayfs_and_security_modules_stay_out() {
    let (world, unpacked) = World::of(&[
        folder("a").pax("SCHILY.xattr.trusted.overlay.opaque", "y"),
        folder("b").pax("SCHILY.xattr.user.overlay.redirect", "/etc"),
        file("c", "").pax("LIBARCHIVE.xattr.trusted.overlay.metacopy", ""),
        file("d", "").pax("SCHILY.xattr.security.selinux", "label"),
    ]);
    assert!(!world.is_opaque("a"));
    assert_eq!(world.xattr("b", "user.overlay.redirect"), None);
    assert_eq!(world.xattr("c", "trusted.overlay.metacopy"), None);
    assert_eq!(world.xattr("d", "security.selinux"), None);
    insta::assert_snapshot!(unpacked.notes.join("\n"), @r"
    c: its attribute trusted.overlay.metacopy is overlayfs' own, not set
    b: its attribute user.overlay.redirect is overlayfs' own, not set
    a: its attribute trusted.overlay.opaque is overlayfs' own, not set
    ");
}

#[test]
fn marks_for_mounts_of_user_namespaces() {
    let world = World::new();
    let user = UnpackOptions {
        xattrs: XattrSpace::User,
        ..options()
    };
    let tar = archive(&[folder("a"), file("a/.wh..wh..opq", "")]);
    world.unpack_with(&tar, &user).unwrap();
    assert_eq!(world.xattr("a", "user.overlay.opaque").unwrap(), b"y");
    assert_eq!(world.xattr("a", "trusted.overlay.opaque"), None);
}
