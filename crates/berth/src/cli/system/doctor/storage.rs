//! The file systems of the two folders: room, and what they can do.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, StatVfs, XattrFlags, fsetxattr, fstatfs, open};

use super::Patient;
use super::finding::{Finding, State};
use super::probe::{IDMAP, try_in_child};
use crate::view::size;

const AREA: &str = "Storage";
/// Less room than this is little.
const LITTLE_BYTES: u64 = 1 << 30;
const LITTLE_FILES: u64 = 10_000;
/// Magic numbers of statfs(2) that overlays cannot have as their upper layer, and a few names.
const KINDS: [(i64, &str, bool); 8] = [
    (0xef53, "ext4", true),
    (0x5846_5342, "xfs", true),
    (0x9123_683e, "btrfs", true),
    (0x0102_1994, "tmpfs", true),
    (0x794c_7630, "overlay", false),
    (0x6969, "nfs", false),
    (0x0bd0_0bd0, "lustre", false),
    (0x4d44, "vfat", false),
];

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    let config = &patient.context.config;
    let root = existing(&config.root);
    let mut all = Vec::new();
    match File::open(&root) {
        Ok(folder) => {
            all.push(kind(&root, &folder));
            all.extend(room("room at the root", &config.root, &root));
            all.push(entry_types(&root));
            all.push(attributes(patient, &root));
            all.extend(mapped(patient, &root));
        }
        Err(error) => {
            let shown = root.display().to_string();
            let finding = Finding::ok(AREA, shown, error.to_string());
            all.push(finding.but(
                State::Missing,
                "nothing can be kept",
                "give a folder of yours with --root",
            ));
        }
    }
    all.extend(room(
        "room at the state",
        &config.state,
        &existing(&config.state),
    ));
    all
}

/// The folder, or the first one above it that is there: it is made with the first container.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| above.is_dir());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn kind(path: &Path, folder: &File) -> Finding {
    let magic = fstatfs(folder).map_or(0, |found| found.f_type);
    let known = KINDS.iter().find(|(number, _, _)| *number == magic);
    let (name, is_fit) = known.map_or(("unknown", true), |(_, name, fit)| (*name, *fit));
    let shown = format!("{name} (0x{magic:x}), {}", path.display());
    Finding::ok(AREA, "file system of the root", shown).unless(
        is_fit,
        State::Missing,
        "containers of images do not start: it carries no layer that is written to",
        "berth --root /a/folder/on/ext4/or/xfs",
    )
}

fn room(name: &'static str, meant: &Path, path: &Path) -> Option<Finding> {
    let found: StatVfs = rustix::fs::statvfs(path).ok()?;
    let bytes = found.f_bavail.saturating_mul(found.f_frsize);
    let files = found.f_favail;
    // Some file systems do not count them.
    let counts = found.f_files > 0;
    let shown = match counts {
        true => format!(
            "{} and {files} files free, {}",
            size::decimal(bytes),
            meant.display()
        ),
        false => format!("{} free, {}", size::decimal(bytes), meant.display()),
    };
    let least = match name {
        "room at the root" => LITTLE_BYTES,
        _ => LITTLE_BYTES / 64,
    };
    let is_fine = bytes >= least && (!counts || files >= LITTLE_FILES);
    Some(Finding::ok(AREA, name, shown).unless(
        is_fine,
        State::Warning,
        "pulls and writes in containers fail when it is full",
        "berth system prune",
    ))
}

/// overlayfs needs them (kernel documentation, overlayfs, "Upper and Lower").
fn entry_types(path: &Path) -> Finding {
    let folder = open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
    let types = folder.and_then(Dir::new).map(|entries| {
        let entries = entries.flatten().map(|entry| entry.file_type());
        entries.collect::<Vec<FileType>>()
    });
    let has = types.is_ok_and(|types| types.iter().any(|kind| *kind != FileType::Unknown));
    let found = if has { "d_type" } else { "no d_type" };
    Finding::ok(AREA, "types of entries", found).unless(
        has,
        State::Missing,
        "containers of images do not start: overlayfs needs them",
        "mkfs.xfs -n ftype=1, or another file system",
    )
}

/// Where the file system cannot, files of images belong to nobody under `--userns private`.
fn mapped(patient: &Patient<'_>, path: &Path) -> Option<Finding> {
    if !patient.is_root {
        // Users have the ids of their images on disk.
        return None;
    }
    let word = format!("{IDMAP}{}", path.display());
    let tried = try_in_child(&patient.context.config, &word);
    let why = tried.as_ref().err().cloned().unwrap_or_default();
    Some(Finding::ok(AREA, "idmapped mounts", why).unless(
        tried.is_ok(),
        State::Warning,
        "--userns private works with --rootfs and host alone",
        "berth --root /a/folder/on/ext4/or/xfs, with a kernel from 5.19 on",
    ))
}

/// Tried on a file without a name, which goes when it is closed.
fn attributes(patient: &Patient<'_>, path: &Path) -> Finding {
    let name = match patient.is_root {
        true => "trusted.overlay.berth",
        false => "user.overlay.berth",
    };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::RUSR | Mode::WUSR);
    let set = file.and_then(|file| fsetxattr(file.as_fd(), name, b"y", XattrFlags::empty()));
    let found = match set {
        Ok(()) => name
            .split_once('.')
            .map_or(name, |(kind, _)| kind)
            .to_owned(),
        Err(errno) => std::io::Error::from(errno).to_string(),
    };
    Finding::ok(AREA, "extended attributes", found).unless(
        set.is_ok(),
        State::Warning,
        "removed files of an image may come back in a container, and capabilities of programs are lost",
        "berth --root /a/folder/on/ext4/or/xfs",
    )
}
