//! Folders to unpack into, and what is in them afterwards.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use berth_image::layer::merged::Stack;
use berth_image::layer::{LayerError, UnpackOptions, Unpacked, XattrSpace, unpack};

use crate::tars::{E, archive};

/// A folder that goes with the test.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("layer")).unwrap();
        Self { dir }
    }

    /// Unpacks with the options that suit whoever runs the test.
    pub(crate) fn of(entries: &[E]) -> (Self, Unpacked) {
        let world = Self::new();
        let unpacked = world.unpack(&archive(entries)).unwrap();
        (world, unpacked)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("layer").join(name)
    }

    pub(crate) fn fd(&self) -> OwnedFd {
        open(&self.path(""))
    }

    pub(crate) fn unpack(&self, tar: &[u8]) -> Result<Unpacked, LayerError> {
        self.unpack_with(tar, &options())
    }

    pub(crate) fn unpack_with(
        &self,
        tar: &[u8],
        options: &UnpackOptions,
    ) -> Result<Unpacked, LayerError> {
        unpack(tar, self.fd().as_fd(), options)
    }

    pub(crate) fn meta(&self, name: &str) -> fs::Metadata {
        fs::symlink_metadata(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into_owned()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    pub(crate) fn is_whiteout(&self, name: &str) -> bool {
        let meta = self.meta(name);
        meta.file_type().is_char_device() && meta.rdev() == 0
    }

    pub(crate) fn xattr(&self, name: &str, key: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 1000];
        let length = rustix::fs::lgetxattr(self.path(name), key, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    pub(crate) fn is_opaque(&self, name: &str) -> bool {
        self.xattr(name, options().xattrs_name()) == Some(b"y".to_vec())
    }
}

pub(crate) fn open(path: &Path) -> OwnedFd {
    OwnedFd::from(File::open(path).unwrap())
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Who is not root has one id, and marks of his own.
pub(crate) fn options() -> UnpackOptions {
    if is_root() {
        UnpackOptions::default()
    } else {
        UnpackOptions {
            xattrs: XattrSpace::User,
            ids: berth_image::layer::Ids::Squash,
            devices: berth_image::layer::Devices::Skip,
            ..UnpackOptions::default()
        }
    }
}

pub(crate) trait Named {
    fn xattrs_name(&self) -> &'static str;
}

impl Named for UnpackOptions {
    fn xattrs_name(&self) -> &'static str {
        match self.xattrs {
            XattrSpace::Trusted => "trusted.overlay.opaque",
            XattrSpace::User => "user.overlay.opaque",
        }
    }
}

/// Stacks folders, the topmost first.
pub(crate) fn stack(worlds: &[&World]) -> Stack {
    let layers = worlds.iter().map(|world| world.fd()).collect();
    Stack::new(layers, options().xattrs).unwrap()
}

/// All that can be compared of a tree, a line for each path.
pub(crate) fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    list(root, Path::new(""), &mut all);
    all
}

fn list(root: &Path, below: &Path, all: &mut BTreeMap<PathBuf, String>) {
    let path = root.join(below);
    let meta = fs::symlink_metadata(&path).unwrap();
    let kind = meta.file_type();
    let content = if kind.is_file() {
        let content = fs::read(&path).unwrap();
        format!(
            "{} bytes, {:?}",
            content.len(),
            berth_image::Hasher::sha256(&content).short()
        )
    } else if kind.is_symlink() {
        format!("-> {}", fs::read_link(&path).unwrap().display())
    } else {
        String::new()
    };
    let links = if kind.is_dir() { 0 } else { meta.nlink() };
    let line = format!(
        "{:o} {}:{} {}.{:09} rdev {} links {links} {content} {}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.rdev(),
        xattrs(&path)
    );
    all.insert(below.to_owned(), line);
    if kind.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            list(root, &below.join(entry.unwrap().file_name()), all);
        }
    }
}

fn xattrs(path: &Path) -> String {
    let mut names = vec![0; 4096];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else {
        return String::new();
    };
    let mut all: Vec<String> = names[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 4096];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            format!("{}={}", name.escape_ascii(), value[..length].escape_ascii())
        })
        .collect();
    all.sort();
    all.join(" ")
}
