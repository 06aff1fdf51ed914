//! Whether two folders hold the same files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::lgetxattr;
use rustix::io::Errno;

/// What a file is, apart from its content.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    mode: u32,
    owner: (u32, u32),
    /// Of regular files: tools differ in what a folder's or a link's is.
    size: u64,
    mtime: i64,
    links: u64,
    device: u64,
    target: Option<PathBuf>,
    capability: Option<Vec<u8>>,
}

/// Compares all but what a container's own mounts hide; answers how many entries there are.
pub fn assert_same(ours: &Path, theirs: &Path) -> usize {
    let (a, b) = (shapes(ours), shapes(theirs));
    let names = |shapes: &BTreeMap<PathBuf, Shape>| shapes.keys().cloned().collect::<Vec<_>>();
    let (ours_only, theirs_only): (Vec<PathBuf>, Vec<PathBuf>) = (
        names(&a)
            .into_iter()
            .filter(|name| !b.contains_key(name))
            .collect(),
        names(&b)
            .into_iter()
            .filter(|name| !a.contains_key(name))
            .collect(),
    );
    assert!(
        ours_only.is_empty() && theirs_only.is_empty(),
        "only ours: {ours_only:?}, only theirs: {theirs_only:?}"
    );
    for (name, shape) in &a {
        assert_eq!(Some(shape), b.get(name), "{}", name.display());
        if shape.mode & libc_type::MASK == libc_type::REGULAR {
            let read = |root: &Path| fs::read(root.join(name)).unwrap();
            assert!(read(ours) == read(theirs), "content of {}", name.display());
        }
    }
    a.len()
}

/// The file type of a mode (inode(7)).
mod libc_type {
    pub const MASK: u32 = 0o170_000;
    pub const REGULAR: u32 = 0o100_000;
}

fn shapes(root: &Path) -> BTreeMap<PathBuf, Shape> {
    let mut shapes = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap() {
            let name = folder.join(entry.unwrap().file_name());
            let path = root.join(&name);
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() && name != Path::new("dev") {
                folders.push(name.clone());
            }
            shapes.insert(name, shape(&path, &metadata));
        }
    }
    shapes
}

fn shape(path: &Path, metadata: &fs::Metadata) -> Shape {
    let regular = metadata.is_file();
    let mut value = [0; 64];
    let capability = match lgetxattr(path, "security.capability", &mut value) {
        Ok(length) => Some(value[..length].to_vec()),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => None,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    Shape {
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        size: if regular { metadata.size() } else { 0 },
        mtime: if regular { metadata.mtime() } else { 0 },
        links: if regular { metadata.nlink() } else { 0 },
        device: metadata.rdev(),
        target: fs::read_link(path).ok(),
        capability,
    }
}
