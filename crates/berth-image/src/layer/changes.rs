//! What an upper layer changed.

use std::ffi::OsStr;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use serde::{Deserialize, Serialize};

use super::merged::{Folder, Found, Last, Stack, is_opaque, is_whiteout};
use super::name::{join, split};
use super::walk::{Step, top, walk};
use super::{LayerError, XattrSpace};

/// Added, changed or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChangeKind {
    /// `A`: the layers below have no such path.
    Added,
    /// `C`: content, attributes, or what is within.
    Changed,
    /// `D`: the layers below have it still.
    Deleted,
}

impl ChangeKind {
    /// The letter that `diff` prints.
    pub const fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Changed => 'C',
            Self::Deleted => 'D',
        }
    }
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Absolute, as in the container.
    pub path: PathBuf,
    /// How.
    pub kind: ChangeKind,
}

/// Compares an upper layer with the layers below, as `docker diff` does: a folder counts as changed
/// when something in it is, or its own attributes are. Ordered by path.
pub fn changes(
    upper: BorrowedFd<'_>,
    lowers: &Stack,
    marks: XattrSpace,
) -> Result<Vec<Change>, LayerError> {
    let open = |e| LayerError::io("open", b"", e);
    let upper = Stack::plain(upper.try_clone_to_owned().map_err(open)?).map_err(open)?;
    let mut list = List {
        lowers,
        marks,
        found: Vec::new(),
        open: Vec::new(),
    };
    walk(&upper, upper.root(), &mut |path, step| {
        list.step(path, step)
    })?;
    list.found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list.found)
}

struct List<'a> {
    lowers: &'a Stack,
    marks: XattrSpace,
    found: Vec<Change>,
    /// Folders above the present entry: those that lie below as well and count only if something in
    /// them changed, and how many changes were known at their start.
    open: Vec<(usize, bool)>,
}

impl List<'_> {
    fn step(&mut self, path: &[u8], step: Step<'_>) -> Result<(), LayerError> {
        match step {
            Step::Enter(folder, stat) => self.enter(path, folder, stat),
            Step::Leave(..) => {
                let (before, told) = self.open.pop().unwrap_or_default();
                if !told && !path.is_empty() && self.found.len() > before {
                    self.add(path, ChangeKind::Changed);
                }
                Ok(())
            }
            Step::Other(other) => {
                let below = self.below(path)?;
                match (is_whiteout(&other.stat), below.is_some()) {
                    (true, false) => {}
                    (true, true) => self.add(path, ChangeKind::Deleted),
                    (false, false) => self.add(path, ChangeKind::Added),
                    (false, true) => self.add(path, ChangeKind::Changed),
                }
                Ok(())
            }
        }
    }

    fn enter(&mut self, path: &[u8], folder: &Folder, stat: &Stat) -> Result<(), LayerError> {
        let before = self.found.len();
        let below = if path.is_empty() {
            None
        } else {
            self.below(path)?
        };
        let told = match &below {
            _ if path.is_empty() => true,
            None => {
                self.add(path, ChangeKind::Added);
                true
            }
            Some(below) => {
                let old = below.stat().map_err(|e| LayerError::io("read", path, e))?;
                let differs = !same_attributes(stat, &old);
                if differs {
                    self.add(path, ChangeKind::Changed);
                }
                differs
            }
        };
        self.open.push((before, told));
        if let Some(Found::Folder(below)) = &below
            && is_opaque(top(folder)?, self.marks)
        {
            self.hidden(path, folder, below)?;
        }
        Ok(())
    }

    /// An opaque folder deletes what is below and not in itself.
    fn hidden(&mut self, path: &[u8], folder: &Folder, below: &Folder) -> Result<(), LayerError> {
        let list = |e| LayerError::io("list", path, e);
        for item in self.lowers.items(below).map_err(list)? {
            let here = rustix::fs::statat(
                top(folder)?,
                item.name.as_os_str(),
                rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
            );
            if here.is_err() {
                self.add(&join(path, item.name.as_bytes()), ChangeKind::Deleted);
            }
        }
        Ok(())
    }

    fn below(&self, path: &[u8]) -> Result<Option<Found>, LayerError> {
        // A link on the path is not what lies below this path.
        let folder = match self.lowers.find(&to_path(split(path).0), Last::Keep) {
            Ok(Found::Folder(folder)) => folder,
            Ok(Found::Other(_)) => return Ok(None),
            Err(e) if is_missing(&e) => return Ok(None),
            Err(e) => return Err(LayerError::io("read", path, e)),
        };
        self.lowers
            .child(&folder, OsStr::from_bytes(split(path).1))
            .map_err(|e| LayerError::io("read", path, e))
    }

    fn add(&mut self, path: &[u8], kind: ChangeKind) {
        let path = Path::new("/").join(to_path(path));
        self.found.push(Change { path, kind });
    }
}

fn to_path(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

fn is_missing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
    )
}

fn same_attributes(a: &Stat, b: &Stat) -> bool {
    let folder = FileType::from_raw_mode(b.st_mode) == FileType::Directory;
    folder
        && a.st_mode == b.st_mode
        && a.st_uid == b.st_uid
        && a.st_gid == b.st_gid
        && a.st_mtime == b.st_mtime
        && a.st_mtime_nsec == b.st_mtime_nsec
}
