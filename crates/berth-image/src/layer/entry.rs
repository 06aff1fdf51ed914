//! One entry of a tar archive.

use super::sparse::Map;
use super::xattr::Xattr;

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file; its data follows.
    File,
    /// A further name of a file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device: major and minor.
    CharDevice(u32, u32),
    /// A block device: major and minor.
    BlockDevice(u32, u32),
    /// A folder.
    Folder,
    /// A named pipe.
    Fifo,
    /// A socket, as few archivers write it; it means nothing in an image.
    Socket,
}

/// Owner, mode and times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// Permissions and the three bits above them.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    /// As the archive has them, not judged.
    pub(super) xattrs: Vec<Xattr>,
}

/// An entry without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As the archive has it.
    pub(super) name: Vec<u8>,
    /// Target of a link, as the archive has it.
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    /// Bytes in the archive.
    pub(super) data_bytes: u64,
    /// Where they go, if not one after the other from 0.
    pub(super) sparse: Option<Map>,
}
