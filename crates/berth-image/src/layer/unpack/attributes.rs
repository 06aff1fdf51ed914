//! Owners, modes, times and extended attributes of what was made.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmod, chownat, fchmod, fchown, fstat,
    futimens, openat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::super::LayerError;
use super::super::entry::Attributes;
use super::super::error::printable;
use super::super::xattr::{Target, Verdict, judge};
use super::{Ids, Unpacker};

/// A name that no archive can ask for.
const PROBE: &str = ".wh..wh.probe";

/// What new files get by themselves: it need not be set again, for nearly all files of nearly all
/// images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Births {
    uid: u32,
    gid: u32,
    /// Permissions that the umask, or a default ACL, takes away.
    withheld: u32,
}

impl Births {
    /// Nothing is known: all is set.
    pub(super) const UNKNOWN: Self = Self {
        uid: u32::MAX,
        gid: u32::MAX,
        withheld: 0o777,
    };

    /// Makes a file and looks at it: that counts the umask, which only one thread's write could tell,
    /// and file systems that give a folder's group to its files.
    pub(super) fn probe(into: BorrowedFd<'_>) -> Result<Self, LayerError> {
        let wrap = |e| LayerError::io("make a file in", b"", e);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(into, PROBE, flags, Mode::from_raw_mode(0o777)).map_err(wrap)?;
        let stat = fstat(&file).map_err(wrap)?;
        unlinkat(into, PROBE, AtFlags::empty()).map_err(wrap)?;
        Ok(Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            withheld: !stat.st_mode & 0o777,
        })
    }

    /// The mode that something made with this one has.
    pub(super) const fn mode(self, asked: u32) -> u32 {
        asked & 0o777 & !self.withheld
    }
}

/// What a chown does, or `None` where it has nothing to do.
fn owner(ids: Ids, births: Births, attributes: &Attributes) -> Option<(Option<Uid>, Option<Gid>)> {
    let own = attributes.uid == births.uid && attributes.gid == births.gid;
    if own || ids == Ids::Squash {
        return None;
    }
    let uid = Uid::from_raw(attributes.uid);
    Some((Some(uid), Some(Gid::from_raw(attributes.gid))))
}

pub(super) const fn times(mtime: (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.0,
        tv_nsec: mtime.1 as _,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

impl Unpacker<'_> {
    /// Gives an open file or folder its attributes; `mode` is what it has.
    pub(super) fn dress_open(
        &mut self,
        fd: BorrowedFd<'_>,
        path: &[u8],
        mode: u32,
        attributes: &Attributes,
    ) -> Result<(), LayerError> {
        if let Some((uid, gid)) = owner(self.options.ids, self.births, attributes) {
            fchown(fd, uid, gid).map_err(|e| LayerError::io("set the owner of", path, e))?;
        }
        if attributes.mode != mode {
            fchmod(fd, Mode::from_raw_mode(attributes.mode))
                .map_err(|e| LayerError::io("set the mode of", path, e))?;
        }
        self.set_xattrs(Target::Open(fd), path, attributes)?;
        futimens(fd, &times(attributes.mtime))
            .map_err(|e| LayerError::io("set the time of", path, e))
    }

    /// Gives a link, a device or a pipe its attributes. `mode` is what it has; `None` for links,
    /// which have none.
    pub(super) fn dress_entry(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        mode: Option<u32>,
        attributes: &Attributes,
    ) -> Result<(), LayerError> {
        if let Some((uid, gid)) = owner(self.options.ids, self.births, attributes) {
            chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| LayerError::io("set the owner of", path, e))?;
        }
        if mode.is_some_and(|mode| mode != attributes.mode) {
            chmod_entry(parent, name, attributes.mode)
                .map_err(|e| LayerError::io("set the mode of", path, e))?;
        }
        self.set_xattrs(Target::Entry(parent, name), path, attributes)?;
        let times = times(attributes.mtime);
        utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| LayerError::io("set the time of", path, e))
    }

    fn set_xattrs(
        &mut self,
        target: Target<'_>,
        path: &[u8],
        attributes: &Attributes,
    ) -> Result<(), LayerError> {
        for (name, value) in &attributes.xattrs {
            let shown = printable(name);
            match judge(name) {
                Verdict::Ignore => continue,
                Verdict::Refuse => {
                    self.note(
                        path,
                        &format!("its attribute {shown} is overlayfs' own, not set"),
                    );
                    continue;
                }
                Verdict::Apply => {}
            }
            match target.set(name, value) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::PERM) => {
                    self.note(path, &format!("its attribute {shown} cannot be set here"));
                }
                Err(Errno::INVAL) => {
                    let why = format!("the value of its attribute {shown} makes no sense");
                    return Err(self.archive.malformed(why));
                }
                Err(e) => return Err(LayerError::io("set an attribute of", path, e)),
            }
        }
        Ok(())
    }
}

/// chmod(2) of what is no file: the entry is held first, so that no link is followed.
pub(in super::super) fn chmod_entry(
    parent: BorrowedFd<'_>,
    name: &[u8],
    mode: u32,
) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = openat(parent, name, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}", held.as_fd().as_raw_fd());
    // by path: our own descriptor, which fchmod(2) refuses for being O_PATH
    chmod(path, Mode::from_raw_mode(mode))
}
