//! The first root of the guest: a shell, the modules, and a script that goes on to the disk.

use std::fs;
use std::path::{Path, PathBuf};

use super::cpio::Archive;
use super::kernel::Kernel;
use super::modules::Modules;
use crate::failure::{Failure, Outcome};

/// What the cloud kernel keeps out of its image and the guest needs: its disk, and what containers
/// and their networks are made of. The guest has nobody who loads a module when it is asked for.
const WANTED: [&str; 21] = [
    "quota_v2",
    "virtio_pci",
    "virtio_blk",
    "overlay",
    "fuse",
    "veth",
    "tun",
    "bridge",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_fib_inet",
    "nft_masq",
    "nft_nat",
    "nf_conntrack_netlink",
    "macvlan",
    "ipvlan",
    "sctp",
    "br_netfilter",
    "tcp_diag",
    "udp_diag",
];

/// The shell of the guest, without a library.
pub(super) const BUSYBOX: &str = "/usr/bin/busybox";

/// Writes the initramfs into the folder and returns its path.
///
/// # Errors
/// A file it needs is missing.
pub(super) fn make(folder: &Path, kernel: &Kernel) -> Outcome<PathBuf> {
    let modules = Modules::read(&kernel.modules)?.in_order(&WANTED)?;
    let mut archive = Archive::default();
    for made in ["bin", "dev", "proc", "disk", "modules"] {
        archive.folder(made)?;
    }
    archive.program("bin/busybox", &read(Path::new(BUSYBOX))?)?;
    archive.link("bin/sh", "busybox")?;
    archive.program("init", include_bytes!("../../vm/initramfs.sh"))?;
    for (at, module) in modules.iter().enumerate() {
        archive.program(&format!("modules/{at:02}.ko"), &read(module)?)?;
    }
    let path = folder.join("initramfs.cpio");
    fs::write(&path, archive.finish()?).map_err(|error| Failure::file("write", &path, &error))?;
    Ok(path)
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::file("read", path, &error))
}
