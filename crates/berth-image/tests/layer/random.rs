//! Random archives and random trees.

use std::os::fd::AsFd;

use berth_image::layer::{PackOptions, Times, pack};
use proptest::prelude::*;

use crate::tars::{E, archive, file, folder, hard_link, symlink};
use crate::world::{World, is_root, listing, options};

fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        6 => "[abc]",
        1 => Just(".wh.a".to_owned()),
        1 => Just(".wh..wh..opq".to_owned()),
        1 => Just("..".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just(String::new()),
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = E> {
    (name(), name(), 0..6_u8, 0..0o10000_u32, 0..2000_usize).prop_map(
        |(name, other, kind, mode, size)| {
            match kind {
                0 | 1 => file(&name, "x".repeat(size)),
                2 | 3 => folder(&name),
                4 => symlink(&name, &other),
                _ => hard_link(&name, &other),
            }
            // Others than root could not read it again.
            .mode(if is_root() { mode } else { mode | 0o700 })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever an archive says, nothing outside of its folder changes, and what unpacked once
    /// packs and unpacks to the same.
    #[test]
    fn any_archive(entries in proptest::collection::vec(entry(), 0..25)) {
        let world = World::new();
        let done = world.unpack(&archive(&entries));
        let around: Vec<_> = std::fs::read_dir(world.dir.path()).unwrap().collect();
        prop_assert_eq!(around.len(), 1);
        if done.is_ok() {
            let mut tar = Vec::new();
            let packing = PackOptions {
                times: Times::Nanoseconds,
                xattrs: options().xattrs,
                ..PackOptions::default()
            };
            let packed = pack(world.fd().as_fd(), &mut tar, &packing).unwrap();
            let again = World::new();
            let unpacked = again.unpack(&tar).unwrap();
            prop_assert_eq!(unpacked.diff_id, packed.diff_id);
            let plain = |world: &World| {
                let mut all = listing(&world.path(""));
                // Whiteouts have no time that matters.
                all.retain(|_, line| !line.starts_with("20000 "));
                all
            };
            prop_assert_eq!(plain(&world), plain(&again));
        }
    }

    /// Damaged archives end in an error or in a layer, and nothing else.
    #[test]
    fn any_damage(
        entries in proptest::collection::vec(entry(), 1..6),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        fix in any::<bool>(),
    ) {
        let mut tar = archive(&entries);
        for (at, value) in flips {
            let at = at.index(tar.len());
            tar[at] = value;
            if fix {
                // The checksum must not be what finds it.
                let block = at / 512 * 512;
                let header = &mut tar[block..block + 512];
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let world = World::new();
        drop(world.unpack(&tar));
        let around: Vec<_> = std::fs::read_dir(world.dir.path()).unwrap().collect();
        prop_assert_eq!(around.len(), 1);
    }
}
