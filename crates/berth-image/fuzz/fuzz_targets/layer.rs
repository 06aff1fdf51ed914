//! Any bytes as a layer: nothing panics, nothing outside of the layer's folder changes, and what
//! unpacks can be packed.
#![no_main]

use std::os::fd::AsFd;

use berth_image::layer::{Limits, PackOptions, UnpackOptions, decompress, pack, unpack};

const LIMITS: Limits = Limits {
    layer_bytes: 4 << 20,
    layer_entries: 1000,
    file_bytes: 1 << 20,
    path_bytes: 1000,
    path_depth: 50,
    header_bytes: 64 << 10,
};

libfuzzer_sys::fuzz_target!(|blob: &[u8]| {
    let outer = tempfile::tempdir_in("/dev/shm").expect("make a folder");
    let path = outer.path().join("layer");
    std::fs::create_dir(&path).expect("make a folder");
    let folder = std::fs::File::open(&path).expect("open a folder");
    let Ok(stream) = decompress(blob, LIMITS.layer_bytes) else {
        return;
    };
    let options = UnpackOptions {
        limits: LIMITS,
        ..UnpackOptions::default()
    };
    let unpacked = unpack(stream, folder.as_fd(), &options);
    assert_eq!(std::fs::read_dir(outer.path()).expect("list").count(), 1);
    if unpacked.is_ok() {
        pack(folder.as_fd(), std::io::sink(), &PackOptions::default()).expect("pack");
    }
});
