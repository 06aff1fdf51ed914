//! Any bytes as a layer: nothing panics, nothing outside of the layer's folder changes, and what
//! unpacks can be packed.
#![no_main]

use std::os::fd::AsFd;

use berth_image::layer::{Limits, PackOptions, UnpackOptions, decompress, pack, unpack};
use berth_image_fuzz::{folder, plant, tar_of};

const LIMITS: Limits = Limits {
    layer_bytes: 4 << 20,
    layer_entries: 1000,
    file_bytes: 1 << 20,
    path_bytes: 1000,
    path_depth: 50,
    header_bytes: 64 << 10,
};

fn seeds() -> Vec<Vec<u8>> {
    let plain = tar_of(&[
        ("a/file", b"content"),
        ("a/.wh.gone", b""),
        ("b/.wh..wh..opq", b""),
    ]);
    let mut links = tar::Builder::new(Vec::new());
    for (name, kind) in [
        ("folder/", tar::EntryType::Directory),
        ("folder/link", tar::EntryType::Symlink),
        ("folder/hard", tar::EntryType::Link),
        ("pipe", tar::EntryType::Fifo),
        ("device", tar::EntryType::Char),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(0);
        header.set_mode(0o4755);
        links
            .append_link(&mut header, name, "../pipe")
            .expect("append to memory");
    }
    let extended = [
        ("path", b"long/name".as_slice()),
        ("SCHILY.xattr.user.a", b"b"),
        ("mtime", b"1.5"),
        ("size", b"0"),
    ];
    let mut pax = tar::Builder::new(Vec::new());
    pax.append_pax_extensions(extended)
        .expect("append to memory");
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    pax.append_data(&mut header, "short", &[][..])
        .expect("append to memory");
    let links = links.into_inner().expect("end in memory");
    let pax = pax.into_inner().expect("end in memory");
    vec![plain, links, pax]
}

fn check(blob: &[u8]) {
    let outer = folder();
    let path = outer.path().join("layer");
    std::fs::create_dir(&path).expect("make a folder");
    let layer = std::fs::File::open(&path).expect("open a folder");
    let Ok(stream) = decompress(blob, LIMITS.layer_bytes) else {
        return;
    };
    let options = UnpackOptions {
        limits: LIMITS,
        ..UnpackOptions::default()
    };
    let unpacked = unpack(stream, layer.as_fd(), &options);
    assert_eq!(std::fs::read_dir(outer.path()).expect("list").count(), 1);
    if unpacked.is_ok() {
        pack(layer.as_fd(), std::io::sink(), &PackOptions::default()).expect("pack");
    }
}

libfuzzer_sys::fuzz_target!(init: plant(seeds()), |blob: &[u8]| check(blob));
