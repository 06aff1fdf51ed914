//! Walking a stack: every entry once, in an order that depends on names alone.

use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Stat};

use super::LayerError;
use super::merged::{Folder, Found, Item, Other, Stack};
use super::name::join;
use super::xattr::Target;

/// Something on the way.
#[derive(Clone, Copy)]
pub(super) enum Step<'a> {
    /// A folder, before its content.
    Enter(&'a Folder, &'a Stat),
    /// Anything else.
    Other(&'a Other),
    /// A folder, after its content.
    Leave(&'a Folder, &'a Stat),
}

impl Step<'_> {
    /// What it is.
    pub(super) const fn stat(&self) -> &Stat {
        match self {
            Self::Enter(_, stat) | Self::Leave(_, stat) => stat,
            Self::Other(other) => &other.stat,
        }
    }

    /// Its kind.
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat().st_mode)
    }

    /// Where its extended attributes are.
    pub(super) fn target(&self) -> Result<Target<'_>, LayerError> {
        match self {
            Self::Enter(folder, _) | Self::Leave(folder, _) => Ok(Target::Open(top(folder)?)),
            Self::Other(other) => {
                use std::os::fd::AsFd;
                Ok(Target::Entry(other.parent.as_fd(), other.name.as_bytes()))
            }
        }
    }
}

pub(super) fn top(folder: &Folder) -> Result<BorrowedFd<'_>, LayerError> {
    let none = || LayerError::io("open", b"", rustix::io::Errno::NOENT);
    folder.top().ok_or_else(none)
}

/// Takes a path and what is there.
pub(super) type Visit<'a> = dyn FnMut(&[u8], Step<'_>) -> Result<(), LayerError> + 'a;

struct Frame {
    folder: Folder,
    stat: Stat,
    items: std::vec::IntoIter<Item>,
    path: Vec<u8>,
}

/// Visits a folder and all below it; paths are relative to it, and its own is empty. Descriptors of
/// the deepest path are open at a time; the stack of this thread does not grow.
pub(super) fn walk(stack: &Stack, start: &Folder, visit: &mut Visit<'_>) -> Result<(), LayerError> {
    let mut open = vec![enter(stack, start.clone(), Vec::new(), visit)?];
    while let Some(frame) = open.last_mut() {
        let Some(item) = frame.items.next() else {
            if let Some(frame) = open.pop() {
                visit(&frame.path, Step::Leave(&frame.folder, &frame.stat))?;
            }
            continue;
        };
        let path = join(&frame.path, item.name.as_bytes());
        let found = stack
            .child(&frame.folder, &item.name)
            .map_err(|e| LayerError::io("read", &path, e))?;
        match found {
            // gone in between
            None => {}
            Some(Found::Other(other)) => visit(&path, Step::Other(&other))?,
            Some(Found::Folder(folder)) => open.push(enter(stack, folder, path, visit)?),
        }
    }
    Ok(())
}

fn enter(
    stack: &Stack,
    folder: Folder,
    path: Vec<u8>,
    visit: &mut Visit<'_>,
) -> Result<Frame, LayerError> {
    let stat = rustix::fs::fstat(top(&folder)?).map_err(|e| LayerError::io("read", &path, e))?;
    visit(&path, Step::Enter(&folder, &stat))?;
    let items = stack
        .items(&folder)
        .map_err(|e| LayerError::io("list", &path, e))?
        .into_iter();
    Ok(Frame {
        folder,
        stat,
        items,
        path,
    })
}
