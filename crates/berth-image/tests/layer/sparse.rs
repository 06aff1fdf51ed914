//! Sparse files in all forms.

use std::os::unix::fs::MetadataExt;

use crate::tars::{E, archive, file, pad};
use crate::world::World;

const SIZE: u64 = 10 << 20;

fn check(world: &World, name: &str) {
    let content = std::fs::read(world.path(name)).unwrap();
    assert_eq!(content.len() as u64, SIZE, "{name}");
    assert_eq!(&content[..5], b"begin", "{name}");
    assert_eq!(&content[1 << 20..(1 << 20) + 6], b"middle", "{name}");
    assert_eq!(content.iter().filter(|b| **b != 0).count(), 11, "{name}");
    assert!(world.meta(name).blocks() * 512 < SIZE, "{name}");
}

fn pax(name: &str, data: &[u8]) -> E {
    file(name, data)
}

#[test]
fn extended_headers() {
    let middle = (1 << 20).to_string();
    let size = SIZE.to_string();
    let mut map = format!("2\n0\n5\n{middle}\n6\n").into_bytes();
    pad(&mut map);
    map.extend_from_slice(b"beginmiddle");
    let (world, _) = World::of(&[
        pax("GNUSparseFile.0/zero", b"beginmiddle")
            .pax("GNU.sparse.name", "zero")
            .pax("GNU.sparse.size", &size)
            .pax("GNU.sparse.numblocks", "2")
            .pax("GNU.sparse.offset", "0")
            .pax("GNU.sparse.numbytes", "5")
            .pax("GNU.sparse.offset", &middle)
            .pax("GNU.sparse.numbytes", "6"),
        pax("GNUSparseFile.0/one", b"beginmiddle")
            .pax("GNU.sparse.name", "one")
            .pax("path", "GNUSparseFile.0/long-name-of-one")
            .pax("GNU.sparse.size", &size)
            .pax("GNU.sparse.map", format!("0,5,{middle},6")),
        pax("GNUSparseFile.0/ten", &map)
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.name", "ten")
            .pax("GNU.sparse.realsize", &size),
        file("after", "x"),
    ]);
    for name in ["zero", "one", "ten"] {
        check(&world, name);
    }
    assert_eq!(world.read("after"), "x");
    assert!(!world.exists("GNUSparseFile.0"));
}

fn gnu(continued: bool) -> Vec<u8> {
    let octal = |value: u64| format!("{value:011o}\0").into_bytes();
    let mut block = file("gnu", "beginmiddle").kind(b'S').bytes();
    block[257..265].copy_from_slice(b"ustar  \0");
    let entry = |offset, length| [octal(offset), octal(length)].concat();
    block[386..410].copy_from_slice(&entry(0, 5));
    block[483..495].copy_from_slice(&octal(SIZE));
    let mut extension = vec![0; 512];
    if continued {
        block[482] = 1;
        extension[..24].copy_from_slice(&entry(1 << 20, 6));
        extension[24..48].copy_from_slice(&entry(SIZE, 0));
    } else {
        block[410..434].copy_from_slice(&entry(1 << 20, 6));
    }
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    if continued {
        block.splice(512..512, extension);
    }
    block.extend([0; 1024]);
    block
}

#[test]
fn headers_of_gnu() {
    for continued in [false, true] {
        let world = World::new();
        world.unpack(&gnu(continued)).unwrap();
        check(&world, "gnu");
    }
}

#[test]
fn maps_that_lie_are_refused() {
    let world = World::new();
    let one = |map: &str, size: &str, data: &[u8]| {
        let entry = pax("x", data)
            .pax("GNU.sparse.size", size)
            .pax("GNU.sparse.map", map);
        world.unpack(&archive(&[entry]))
    };
    one("0,5", "100", b"12345").unwrap();
    assert!(one("0,6", "100", b"12345").is_err());
    assert!(one("0,4", "100", b"12345").is_err());
    assert!(one("50,5,0,0", "100", b"12345").is_err());
    assert!(one("99,5", "100", b"12345").is_err());
    assert!(one("0,5", "99999999999999999", b"12345").is_err());
    assert!(one("0,5,1", "100", b"12345").is_err());
    let ten = |map: &[u8]| {
        let entry = pax("x", map)
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.realsize", "100");
        world.unpack(&archive(&[entry]))
    };
    assert!(ten(b"1\n0\n5\n").is_err());
    assert!(ten(&[b'1'; 512]).is_err());
    assert!(ten(&[b'\n'; 512]).is_err());
    assert!(ten(b"99999999999999999999\n").is_err());
}
