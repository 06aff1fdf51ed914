//! A name in a folder, the folder held by descriptor or named by path.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::CWD;

/// A directory entry: a folder, and a path below it.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The folder.
    pub dir: BorrowedFd<'a>,
    /// Relative to it, or absolute.
    pub name: &'a Path,
}

impl<'a> At<'a> {
    /// An entry of an open folder.
    pub const fn below(dir: BorrowedFd<'a>, name: &'a Path) -> Self {
        Self { dir, name }
    }

    /// An entry by its path.
    pub const fn path(path: &'a Path) -> Self {
        Self {
            dir: CWD,
            name: path,
        }
    }
}
