//! Extended attributes: which of an archive's are taken over, and how they are set and read.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Where overlayfs keeps its own attributes (overlayfs.rst, "userxattr").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XattrSpace {
    /// `trusted.overlay.`: mounts made by root.
    #[default]
    Trusted,
    /// `user.overlay.`: mounts made in a user namespace with `userxattr`.
    User,
}

/// The attribute names of both spaces.
pub(super) const OVERLAY_PREFIXES: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

impl XattrSpace {
    /// The attribute of a folder that hides what is below it.
    pub(super) const fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }
}

/// A name and a value.
pub(super) type Xattr = (Vec<u8>, Vec<u8>);

/// What becomes of an archive's attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Set it.
    Apply,
    /// Set it not, and say nothing: it means something on the machine that packed it alone.
    Ignore,
    /// Set it not, and say so: it would change what overlayfs shows.
    Refuse,
}

/// Judges an attribute by its name.
///
/// Overlayfs' own would let an archive redirect a folder to another one or take a file's content
/// from elsewhere. Labels of security modules belong to the machine. File capabilities, ACLs, and
/// what users and programs noted are the file's own.
pub(super) fn judge(name: &[u8]) -> Verdict {
    if OVERLAY_PREFIXES.iter().any(|p| name.starts_with(p)) {
        return Verdict::Refuse;
    }
    let known = name == b"security.capability"
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
        || name.starts_with(b"user.")
        || name.starts_with(b"trusted.");
    if known && !name.contains(&0) {
        Verdict::Apply
    } else {
        Verdict::Ignore
    }
}

/// A file whose attributes are read or set.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    /// Open for reading or writing.
    Open(BorrowedFd<'a>),
    /// An entry of an open folder, itself, be it a link.
    Entry(BorrowedFd<'a>, &'a [u8]),
}

impl Target<'_> {
    /// setxattr(2).
    pub(super) fn set(self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Entry(folder, entry) => {
                // by path: below our own descriptor, and the last name is not followed
                rustix::fs::lsetxattr(path(folder, entry)?, name, value, XattrFlags::empty())
            }
        }
    }

    /// All attributes with their values, by name. File systems without any have none.
    pub(super) fn all(self) -> Result<Vec<Xattr>, Errno> {
        let names = match self.names() {
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            other => other?,
        };
        let mut all = Vec::new();
        for name in names.split(|b| *b == 0).filter(|n| !n.is_empty()) {
            match self.value(name) {
                Ok(value) => all.push((name.to_vec(), value)),
                // gone in between, or of a kind that cannot be read
                Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(e) => return Err(e),
            }
        }
        all.sort();
        Ok(all)
    }

    fn names(self) -> Result<Vec<u8>, Errno> {
        sized(|buffer| match self {
            Self::Open(fd) => rustix::fs::flistxattr(fd, buffer),
            // by path: below our own descriptor, and the last name is not followed
            Self::Entry(folder, entry) => rustix::fs::llistxattr(path(folder, entry)?, buffer),
        })
    }

    /// The value of an attribute.
    pub(super) fn value(self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        sized(|buffer| match self {
            Self::Open(fd) => rustix::fs::fgetxattr(fd, name, buffer),
            // by path: below our own descriptor, and the last name is not followed
            Self::Entry(folder, entry) => rustix::fs::lgetxattr(path(folder, entry)?, name, buffer),
        })
    }
}

/// Tries with a small buffer, then with the largest that attributes have (xattr(7): 64 KiB).
fn sized(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match read(&mut small) {
        Ok(length) => return Ok(small.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {}
        Err(e) => return Err(e),
    }
    let mut large = vec![0; 64 << 10];
    let length = read(&mut large)?;
    large.truncate(length);
    Ok(large)
}

/// The calls that take a folder and a name came with Linux 6.13 only. Up to the name the path is our
/// own descriptor's.
fn path(folder: BorrowedFd<'_>, entry: &[u8]) -> Result<CString, Errno> {
    let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    path.extend_from_slice(entry);
    CString::new(path).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgements() {
        for name in [
            "security.capability",
            "user.x",
            "trusted.x",
            "system.posix_acl_access",
        ] {
            assert_eq!(judge(name.as_bytes()), Verdict::Apply, "{name}");
        }
        for name in [
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "user.overlay.metacopy",
            "trusted.overlay.overlay.opaque",
        ] {
            assert_eq!(judge(name.as_bytes()), Verdict::Refuse, "{name}");
        }
        for name in [
            "security.selinux",
            "security.ima",
            "system.nfs4_acl",
            "other",
            "user.a\0b",
        ] {
            assert_eq!(judge(name.as_bytes()), Verdict::Ignore, "{name}");
        }
    }
}
