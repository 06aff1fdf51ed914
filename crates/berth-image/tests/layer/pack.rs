//! Folders to archives.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use berth_image::layer::{
    LayerError, Level, PackOptions, Packed, Times, decompress, pack, pack_tree,
};
use berth_image::{Compression, Hasher};

use crate::tars::{E, device, file, folder, hard_link, symlink};
use crate::world::{World, is_root, listing, options, stack};

fn packing() -> PackOptions {
    PackOptions {
        times: Times::Nanoseconds,
        xattrs: options().xattrs,
        ..PackOptions::default()
    }
}

fn packed(world: &World, options: &PackOptions) -> (Vec<u8>, Packed) {
    let mut out = Vec::new();
    let packed = pack(world.fd().as_fd(), &mut out, options).unwrap();
    (out, packed)
}

fn sample() -> Vec<E> {
    let ids = |uid| if is_root() { uid } else { 0 };
    let long = "n".repeat(150);
    let mut entries = vec![
        folder("./").mode(0o755).mtime(11),
        folder("etc").mode(0o755).mtime(12),
        file("etc/passwd", "root")
            .mode(0o4755)
            .ids(ids(33), ids(44))
            .pax("mtime", "5.000000007"),
        file("etc/big", "x".repeat(700_000)).pax("mtime", "-7.25"),
        hard_link("etc/link", "etc/passwd"),
        symlink("sym", "nowhere"),
        symlink("long", "").pax("linkpath", &long),
        file("x", "")
            .pax("path", format!("etc/{long}"))
            .pax("uid", if is_root() { "3000000000" } else { "0" }),
        file("attribute", "").pax("SCHILY.xattr.user.x", "a\0b=\n"),
        file(".wh.gone", ""),
        file("etc/.wh.gone", ""),
        folder("opaque"),
        file("opaque/.wh..wh..opq", ""),
        file("opaque/in", "x"),
        file("pipe", "").kind(b'6'),
    ];
    if is_root() {
        entries.push(device("null", b'3', 1, 3).mode(0o666));
        entries.push(device("disk", b'4', 8, 1));
    }
    entries
}

#[test]
fn what_is_packed_unpacks_the_same() {
    let (world, _) = World::of(&sample());
    let before = listing(&world.path(""));
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let options = PackOptions {
            compression,
            ..packing()
        };
        let (blob, packed) = packed(&world, &options);
        assert_eq!(packed.digest, Hasher::sha256(&blob));
        assert_eq!(packed.size, blob.len() as u64);
        let mut stream = decompress(&blob[..], u64::MAX).unwrap();
        assert_eq!(stream.compression(), compression);
        let mut tar = Vec::new();
        stream.read_to_end(&mut tar).unwrap();
        assert_eq!(packed.diff_id, Hasher::sha256(&tar));
        assert_eq!(packed.bytes, tar.len() as u64);
        let again = World::new();
        let unpacked = again.unpack(&tar).unwrap();
        assert_eq!(unpacked.diff_id, packed.diff_id);
        assert_eq!(unpacked.entries, packed.entries + pax_headers(&tar));
        assert!(unpacked.implied.is_empty(), "{:?}", unpacked.implied);
        let after = listing(&again.path(""));
        // Whiteouts have no time that matters.
        for (path, line) in &before {
            if !path.ends_with("gone") {
                assert_eq!(Some(line), after.get(path), "{}", path.display());
            }
        }
        assert_eq!(before.len(), after.len());
        assert!(again.is_whiteout("gone") && again.is_whiteout("etc/gone"));
    }
}

fn pax_headers(tar: &[u8]) -> u64 {
    tar.chunks(512)
        .filter(|b| b.starts_with(b"PaxHeaders/entry\0"))
        .count() as u64
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let mut entries = sample();
    let (one, _) = World::of(&entries);
    // Other order in the folder, other inodes.
    entries[5..].reverse();
    let at = entries.iter().position(|e| e.name == b"opaque").unwrap();
    let folder = entries.remove(at);
    entries.insert(1, folder);
    let (two, _) = World::of(&entries);
    for level in [Level::Fast, Level::Default] {
        let options = PackOptions {
            compression: Compression::Gzip,
            level,
            ..packing()
        };
        assert_eq!(packed(&one, &options).1, packed(&two, &options).1);
    }
}

#[test]
fn extended_headers_only_where_needed() {
    let (world, _) = World::of(&[
        folder("./"),
        folder("a"),
        file("a/b", "x"),
        symlink("c", "a"),
    ]);
    let plain = PackOptions {
        times: Times::Seconds,
        ..packing()
    };
    let (tar, _) = packed(&world, &plain);
    assert_eq!(pax_headers(&tar), 0);
    assert_eq!(tar.len(), 512 * 7);
    // Nanoseconds alone need none when only seconds are kept.
    let (world, _) = World::of(&[folder("./"), file("a", "").pax("mtime", "5.5")]);
    assert_eq!(pax_headers(&packed(&world, &plain).0), 0);
    assert_eq!(pax_headers(&packed(&world, &packing()).0), 1);
}

#[test]
fn what_overlayfs_alone_understands_is_refused() {
    let (world, _) = World::of(&[folder("a")]);
    let (marks, flags) = (options().xattrs, rustix::fs::XattrFlags::empty());
    let name = if marks == berth_image::layer::XattrSpace::Trusted {
        "trusted.overlay.redirect"
    } else {
        "user.overlay.redirect"
    };
    rustix::fs::setxattr(world.path("a"), name, b"/b", flags).unwrap();
    let error = pack(world.fd().as_fd(), Vec::new(), &packing()).unwrap_err();
    assert!(matches!(error, LayerError::Unsupported(_)), "{error}");
    rustix::fs::removexattr(world.path("a"), name).unwrap();
    std::fs::write(world.path("a/.wh.x"), "").unwrap();
    let error = pack(world.fd().as_fd(), Vec::new(), &packing()).unwrap_err();
    insta::assert_snapshot!(error, @r#"a/.wh.x cannot be in a layer: names in ".wh." mean that something is removed; rename it"#);
}

#[test]
fn a_writer_that_fails_is_the_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (world, _) = World::of(&[file("a", vec![0; 5 << 20])]);
    let error = pack(world.fd().as_fd(), Full, &packing()).unwrap_err();
    assert!(matches!(error, LayerError::Write(_)), "{error}");
}

#[test]
fn a_whole_tree_has_no_marks() {
    let (lower, _) = World::of(&[
        file("etc/old", "1").mode(0o600),
        file("etc/gone", ""),
        file("hidden/x", ""),
    ]);
    let (upper, _) = World::of(&[
        file("etc/new", "2"),
        file("etc/.wh.gone", ""),
        file(".wh.hidden", ""),
        hard_link("link", "etc/new"),
    ]);
    let mut out = Vec::new();
    let options = PackOptions {
        root_entry: false,
        ..packing()
    };
    pack_tree(&stack(&[&upper, &lower]), &mut out, &options).unwrap();
    let world = World::new();
    world.unpack(&out).unwrap();
    let names: Vec<_> = listing(&world.path("")).into_keys().collect();
    let expected = ["", "etc", "etc/new", "etc/old", "link"].map(std::path::PathBuf::from);
    assert_eq!(names, expected);
    assert_eq!(world.meta("etc/old").mode() & 0o7777, 0o600);
    assert_eq!(world.meta("link").ino(), world.meta("etc/new").ino());
}

/// A layer that its own store would refuse to unpack is not written, and the file is named at once,
/// not after a terabyte of zeros.
#[test]
fn a_file_above_the_limit_is_refused_before_it_is_read() {
    let (world, _) = World::of(&[file("a", "a"), file("huge", "x"), file("z", "z")]);
    let huge = std::fs::File::options()
        .write(true)
        .open(world.path("huge"))
        .unwrap();
    huge.set_len(1 << 40).unwrap();
    let began = std::time::Instant::now();
    let error = pack(world.fd().as_fd(), std::io::sink(), &packing()).unwrap_err();
    let text = "the file huge of 1099511627776 bytes is more than the limit file-bytes (274877906944); raise it in config.toml for images that you trust";
    assert_eq!(error.to_string(), text);
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
    // Nor one whose files are too much together.
    huge.set_len(3000).unwrap();
    let mut options = packing();
    options.limits.layer_bytes = 3001;
    let error = pack(world.fd().as_fd(), std::io::sink(), &options).unwrap_err();
    assert!(error.to_string().contains("layer-bytes (3001)"), "{error}");
    options.limits.layer_bytes = 3002;
    pack(world.fd().as_fd(), std::io::sink(), &options).unwrap();
}
