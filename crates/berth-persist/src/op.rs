//! The operations, and the function that they all pass.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Mode, RenameFlags};

use crate::At;

/// Names a place in a use-case: words joined by dots, the object first (`image.blob.publish`).
pub type Point = &'static str;

/// What a rename does with an entry that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Takes its place (rename(2)).
    Yes,
    /// Fails with EEXIST (renameat2(2), RENAME_NOREPLACE).
    No,
    /// Changes places with it (RENAME_EXCHANGE).
    Exchange,
}

/// One operation on the entries of a store.
#[derive(Clone, Copy, Debug)]
pub enum Op<'a> {
    /// rename(2).
    Rename {
        /// From here.
        from: At<'a>,
        /// To there.
        to: At<'a>,
        /// What becomes of an entry that is there.
        replace: Replace,
    },
    /// link(2): fails with EEXIST where the new name is taken.
    Link {
        /// The file.
        from: At<'a>,
        /// Its further name.
        to: At<'a>,
    },
    /// unlink(2).
    Unlink(At<'a>),
    /// rmdir(2).
    RemoveDir(At<'a>),
    /// mkdir(2) with a mode.
    MakeDir(At<'a>, u32),
    /// fsync(2) of a file's content.
    SyncFile(BorrowedFd<'a>),
    /// fsync(2) of a folder: its entries survive a loss of power.
    SyncDir(BorrowedFd<'a>),
    /// syncfs(2): everything on the file system does.
    SyncFilesystem(BorrowedFd<'a>),
}

/// Does one operation of a store. Errors are those of the system call, as they are.
pub fn perform(point: Point, op: Op<'_>) -> io::Result<()> {
    #[cfg(debug_assertions)]
    crate::fault::before(point)?;
    let done = execute(op);
    #[cfg(debug_assertions)]
    crate::fault::after(point, &op, done.is_ok());
    #[cfg(not(debug_assertions))]
    let _unused: Point = point;
    done
}

fn execute(op: Op<'_>) -> io::Result<()> {
    match op {
        Op::Rename { from, to, replace } => {
            let flags = match replace {
                Replace::Yes => RenameFlags::empty(),
                Replace::No => RenameFlags::NOREPLACE,
                Replace::Exchange => RenameFlags::EXCHANGE,
            };
            if flags.is_empty() {
                rustix::fs::renameat(from.dir, bytes(from), to.dir, bytes(to))?;
            } else {
                rustix::fs::renameat_with(from.dir, bytes(from), to.dir, bytes(to), flags)?;
            }
        }
        Op::Link { from, to } => {
            rustix::fs::linkat(from.dir, bytes(from), to.dir, bytes(to), AtFlags::empty())?;
        }
        Op::Unlink(at) => rustix::fs::unlinkat(at.dir, bytes(at), AtFlags::empty())?,
        Op::RemoveDir(at) => rustix::fs::unlinkat(at.dir, bytes(at), AtFlags::REMOVEDIR)?,
        Op::MakeDir(at, mode) => {
            rustix::fs::mkdirat(at.dir, bytes(at), Mode::from_raw_mode(mode))?;
        }
        Op::SyncFile(fd) | Op::SyncDir(fd) => rustix::fs::fsync(fd)?,
        Op::SyncFilesystem(fd) => rustix::fs::syncfs(fd)?,
    }
    Ok(())
}

fn bytes(at: At<'_>) -> &[u8] {
    at.name.as_os_str().as_bytes()
}
