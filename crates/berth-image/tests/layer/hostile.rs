//! Archives that mean harm. Each names the class of hole that it would go through elsewhere.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use berth_image::layer::{LayerError, Limits, UnpackOptions, decompress, unpack};

use crate::tars::{E, archive, device, file, folder, hard_link, meta, symlink};
use crate::world::{World, options};

/// Unpacks what must be refused, beside a file that must stay as it is.
fn refused(entries: &[E]) -> String {
    refused_bytes(&archive(entries))
}

fn refused_bytes(tar: &[u8]) -> String {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "kept").unwrap();
    let error = world.unpack(tar).unwrap_err();
    assert!(
        matches!(
            error,
            LayerError::Malformed { .. } | LayerError::Limit { .. }
        ),
        "{error:?}"
    );
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    error.to_string()
}

#[test]
fn names_that_lead_upwards() {
    insta::assert_snapshot!(refused(&[file("../outside/x", "")]), @r#"malformed tar at byte 512, entry ../outside/x: a name that leads upwards ("..")"#);
    refused(&[file("a/../../outside/x", "")]);
    refused(&[folder("..")]);
    refused(&[file(".wh...", "")]);
    refused(&[file("a/.wh..", "")]);
    refused(&[file(".wh.", "")]);
    refused(&[file(".wh.x/y", "")]);
    refused(&[file("x", "").pax("path", "../outside/x")]);
    refused(&[file("x", "").pax("path", "a\0/b")]);
    refused(&[file("", "")]);
    refused(&[hard_link("x", "../outside/secret")]);
    refused(&[hard_link("x", "")]);
    refused(&[symlink("x", "")]);
}

#[test]
fn absolute_names_stay_inside() {
    let (world, _) = World::of(&[
        file("/etc/berth-test-passwd", "x"),
        hard_link("a", "/etc/berth-test-passwd"),
    ]);
    assert_eq!(world.read("etc/berth-test-passwd"), "x");
    assert_eq!(world.read("a"), "x");
    assert!(!std::path::Path::new("/etc/berth-test-passwd").exists());
}

#[test]
fn links_that_lead_outside() {
    // CVE-2018-15664, CVE-2019-18466 and their kin: a link, then a file through it.
    insta::assert_snapshot!(refused(&[symlink("a", "../outside"), file("a/x", "")]), @"malformed tar at byte 1024, entry a/x: a link on its path leads out of the layer");
    refused(&[symlink("a", "../outside"), folder("a/sub")]);
    refused(&[symlink("a", "../outside"), symlink("a/x", "y")]);
    refused(&[symlink("a", "../outside"), file("a/.wh.secret", "")]);
    refused(&[symlink("a", "../outside"), file("a/.wh..wh..opq", "")]);
    refused(&[symlink("a", "../outside"), hard_link("x", "a/secret")]);
    refused(&[
        folder("d"),
        symlink("d/a", ".."),
        symlink("b", "d/a/.."),
        file("b/x", ""),
    ]);
    refused(&[symlink("a", "b"), symlink("b", "a"), file("a/x", "")]);
    refused(&[symlink("a", ".wh.x"), file("a/x", "")]);
}

#[test]
fn absolute_links_stay_inside() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().to_owned();
    let tar = archive(&[symlink("a", &target), file("a/x", "in")]);
    world.unpack(&tar).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let inside = target.trim_start_matches('/').to_owned() + "/x";
    assert_eq!(world.read(&inside), "in");
}

#[test]
fn a_link_swapped_for_a_folder() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    // The folder's descriptor is known when the link takes its place, and the other way round.
    let tar = archive(&[
        folder("a"),
        file("a/one", "1"),
        symlink("a", outside.to_str().unwrap()),
        file("a/two", "2"),
        folder("a"),
        file("a/three", "3"),
    ]);
    world.unpack(&tar).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(world.read("a/three"), "3");
    assert!(!world.exists("a/one"));
}

#[test]
fn an_entry_does_not_write_through_a_link_of_its_name() {
    let world = World::new();
    let outside = world.dir.path().join("outside");
    fs::write(&outside, "kept").unwrap();
    let path = outside.to_str().unwrap();
    let tar = archive(&[
        symlink("a", path),
        file("a", "written").mode(0o777),
        symlink("b", path),
        hard_link("c", "b"),
        file("c", "written"),
        symlink("d", path),
        device("d", b'6', 0, 0).mode(0o4777),
    ]);
    world.unpack(&tar).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    assert_eq!(world.read("a"), "written");
    assert_eq!(world.read("c"), "written");
}

#[test]
fn hard_links_to_what_is_no_file() {
    refused(&[folder("a"), hard_link("b", "a")]);
    refused(&[hard_link("b", ".")]);
    refused(&[hard_link("b", "b")]);
    refused(&[file(".wh.a", ""), hard_link("b", "a")]);
    refused(&[hard_link("b", ".wh.a")]);
    refused(&[file("a", ""), hard_link("b", "a/c")]);
    refused(&[file("a", ""), file("a/b", "")]);
}

#[test]
fn odd_owners_and_types() {
    insta::assert_snapshot!(refused(&[file("a", "").ids(u64::from(u32::MAX), 0)]), @"malformed tar at byte 512, entry a: the owner -1");
    refused(&[file("a", "").ids(0, u64::from(u32::MAX))]);
    refused(&[file("a", "").ids(1 << 40, 0)]);
    refused(&[file("a", "").pax("uid", "4294967295")]);
    refused(&[file("a", "").pax("uid", "-1")]);
    refused(&[file("a", "").pax("gid", "99999999999999999999")]);
    refused(&[file("a", "").pax("mtime", "soon")]);
    insta::assert_snapshot!(refused(&[file("a", "").kind(b'Z')]), @"malformed tar at byte 512, entry a: an entry of the unknown type 'Z'");
    refused(&[file("./", "")]);
}

#[test]
fn broken_streams() {
    let whole = archive(&[file("file", "12345"), file("second", "x".repeat(2000))]);
    // Cut anywhere within an entry.
    for length in [1, 511, 513, 514, 1025, 1500, 1536 + 700] {
        refused_bytes(&whole[..length]);
    }
    let mut sum = whole.clone();
    sum[0] ^= 1;
    insta::assert_snapshot!(refused_bytes(&sum), @"malformed tar at byte 512: a header with a wrong checksum");
    let mut letters = whole.clone();
    letters[148] = b'x';
    refused_bytes(&letters);
    insta::assert_snapshot!(refused_bytes(&[b'x'; 2000]), @"malformed tar at byte 512, entry xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: a number that is not octal");
    let mut gap = file("a", "").bytes();
    gap.extend_from_slice(&[0; 512]);
    gap.extend(file("b", "").bytes());
    insta::assert_snapshot!(refused_bytes(&gap), @"malformed tar at byte 1536: an empty block between entries");
}

#[test]
fn broken_extended_headers() {
    for records in [&b"5 a=b"[..], b"99 path=a\n", b"x", b"0 \n"] {
        let mut tar = meta(b'x', records);
        tar.extend(file("a", "").bytes());
        refused_bytes(&tar);
    }
    refused(&[file("a", "").pax("LIBARCHIVE.xattr.user.a", "!")]);
    let many: E = (0..1001).fold(file("a", ""), |e, i| {
        e.pax(&format!("SCHILY.xattr.user.{i}"), "1")
    });
    refused(&[many]);
}

#[test]
fn a_size_hides_no_entry_of_a_link() {
    // Go's reader takes no data for links and folders; a header in their data would be seen by
    // some extractors alone.
    let hidden = file("hidden", "x").bytes();
    let mut tar = symlink("link", "x").size(hidden.len() as u64).bytes();
    tar.extend(hidden);
    tar.extend([0; 1024]);
    let world = World::new();
    world.unpack(&tar).unwrap();
    assert!(world.exists("hidden"));
}

fn limited(limits: Limits, entries: &[E]) -> String {
    let limited = UnpackOptions {
        limits,
        ..options()
    };
    let error = World::new()
        .unpack_with(&archive(entries), &limited)
        .unwrap_err();
    assert!(matches!(error, LayerError::Limit { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn limits() {
    let limits = Limits::default();
    let ten = [(); 10].map(|()| file("a", "x"));
    insta::assert_snapshot!(limited(Limits { layer_bytes: 5000, ..limits }, &ten), @"the uncompressed layer is more than the limit layer-bytes (5000); raise it in config.toml for images that you trust");
    insta::assert_snapshot!(limited(Limits { layer_entries: 9, ..limits }, &ten), @"an archive of 10 entries is more than the limit layer-entries (9); raise it in config.toml for images that you trust");
    insta::assert_snapshot!(limited(Limits { file_bytes: 3, ..limits }, &[file("a", "four")]), @"the file a of 4 bytes is more than the limit file-bytes (3); raise it in config.toml for images that you trust");
    limited(limits, &[file("a", "").size(1 << 50)]);
    limited(limits, &[file("a", "").pax("size", "9000000000000000000")]);
    insta::assert_snapshot!(limited(limits, &[file("a", "").pax("path", "x".repeat(5000))]), @"a path of 5000 bytes (xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...) is more than the limit path-bytes (4095); raise it in config.toml for images that you trust");
    limited(limits, &[file("a", "").pax("path", "d/".repeat(600))]);
    limited(
        limits,
        &[symlink("a", "").pax("linkpath", "x".repeat(5000))],
    );
    insta::assert_snapshot!(limited(Limits { header_bytes: 100, ..limits }, &[file("a", "").pax("comment", "x".repeat(200))]), @"an extended header of 213 bytes is more than the limit header-bytes (100); raise it in config.toml for images that you trust");
}

#[test]
fn a_path_of_ten_thousand_folders() {
    let deep = "d/".repeat(10_000) + "file";
    limited(Limits::default(), &[file("a", "x").pax("path", &deep)]);
    // Where the limits allow it, it is made, and longer than a system call takes.
    let raised = UnpackOptions {
        limits: Limits {
            path_bytes: 1 << 20,
            path_depth: 20_000,
            ..Limits::default()
        },
        ..options()
    };
    let world = World::new();
    let path = "d/".repeat(600) + &("n".repeat(200) + "/").repeat(30) + "file";
    let tar = archive(&[file("a", "x").pax("path", path)]);
    let unpacked = world.unpack_with(&tar, &raised).unwrap();
    assert_eq!(unpacked.implied.len(), 1 + 600 + 30);
    let deepest = &unpacked.implied[630];
    assert_eq!(deepest.as_os_str().as_bytes().len(), 1200 + 30 * 201 - 1);
}

#[test]
fn a_bomb_of_zeros() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&file("bomb", "").size(1 << 30).bytes())
        .unwrap();
    for _ in 0..64 {
        gzip.write_all(&[0; 1 << 20]).unwrap();
    }
    let blob = gzip.finish().unwrap();
    assert!(blob.len() < 1 << 20);
    let limited = UnpackOptions {
        limits: Limits {
            layer_bytes: 8 << 20,
            ..Limits::default()
        },
        ..options()
    };
    let world = World::new();
    let stream = decompress(&blob[..], limited.limits.layer_bytes).unwrap();
    let error = unpack(stream, std::os::fd::AsFd::as_fd(&world.fd()), &limited).unwrap_err();
    assert!(
        matches!(
            error,
            LayerError::Limit {
                name: "layer-bytes",
                ..
            }
        ),
        "{error}"
    );
    assert!(world.meta("bomb").len() <= 8 << 20);
}

#[test]
fn texts_of_archives_are_escaped() {
    let error = refused(&[file("a\x1b[31m", "").ids(u64::from(u32::MAX), 0)]);
    assert!(!error.contains('\x1b'), "{error:?}");
}
