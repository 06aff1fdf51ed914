//! Walking the sub-cgroups that a container made below its own.
//!
//! A container may nest them as deep as it likes, so the walk neither recurses nor builds long
//! paths: it holds one descriptor, and goes up by `..` (a cgroup cannot be moved to another
//! parent). Sub-cgroups that vanish meanwhile are passed over.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::files;

/// One step of a walk.
pub(super) enum Visit<'a> {
    /// A directory, before everything below it.
    Enter(BorrowedFd<'a>),
    /// A directory below the first, after everything below it.
    Leave {
        /// The directory above.
        parent: BorrowedFd<'a>,
        /// Its name there.
        name: &'a CStr,
    },
}

struct Level {
    name: CString,
    pending: Vec<CString>,
}

/// Walks a cgroup and everything below it, until `visit` fails.
pub(super) fn walk(
    root: BorrowedFd<'_>,
    visit: &mut dyn FnMut(Visit<'_>) -> Result<(), Errno>,
) -> Result<(), Errno> {
    visit(Visit::Enter(root))?;
    if !files::has_children(root)? {
        return Ok(());
    }
    let mut current = open(root, c".")?;
    let mut stack = vec![Level {
        name: CString::default(),
        pending: children(current.as_fd())?,
    }];
    while let Some(level) = stack.last_mut() {
        if let Some(name) = level.pending.pop() {
            let child = match open(current.as_fd(), &name) {
                Err(Errno::NOENT | Errno::NODEV) => continue,
                child => child?,
            };
            visit(Visit::Enter(child.as_fd()))?;
            stack.push(Level {
                name,
                pending: children(child.as_fd())?,
            });
            current = child;
        } else {
            let Some(done) = stack.pop() else { break };
            if stack.is_empty() {
                break;
            }
            let parent = open(current.as_fd(), c"..")?;
            visit(Visit::Leave {
                parent: parent.as_fd(),
                name: &done.name,
            })?;
            current = parent;
        }
    }
    Ok(())
}

fn open(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn children(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    match files::has_children(dir) {
        Ok(true) => {}
        Ok(false) | Err(Errno::NODEV) => return Ok(names),
        Err(errno) => return Err(errno),
    }
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_type() == FileType::Directory && !is_dots(entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn is_dots(name: &CStr) -> bool {
    name == c"." || name == c".."
}
