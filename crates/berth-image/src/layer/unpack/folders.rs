//! Folders of a layer, opened by path and kept open for a while.
//!
//! Entries of a tar come folder by folder, so the last few descriptors serve nearly all of them.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::super::name::is_within;

/// How many stay open: more than a path is deep, for archives that go back and forth.
const OPEN_MAX: usize = 32;
/// openat2(2) takes a path of 4095 bytes.
const STEP_BYTES: usize = 4000;

/// The folders below a layer's own.
pub(super) struct Folders {
    root: Rc<OwnedFd>,
    open: HashMap<Vec<u8>, Rc<OwnedFd>>,
    order: VecDeque<Vec<u8>>,
    last: (Vec<u8>, Rc<OwnedFd>),
}

impl Folders {
    pub(super) fn new(root: BorrowedFd<'_>) -> std::io::Result<Self> {
        let root = Rc::new(root.try_clone_to_owned()?);
        Ok(Self {
            last: (Vec::new(), Rc::clone(&root)),
            root,
            open: HashMap::new(),
            order: VecDeque::new(),
        })
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens a folder without following a link: ELOOP where one is on the way.
    pub(super) fn open(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, Errno> {
        if path == self.last.0 {
            return Ok(Rc::clone(&self.last.1));
        }
        if path.is_empty() {
            return Ok(Rc::clone(&self.root));
        }
        let folder = match self.open.get(path) {
            Some(folder) => Rc::clone(folder),
            None => {
                let flags = OFlags::PATH | OFlags::DIRECTORY;
                let folder = Rc::new(open_beneath(self.root.as_fd(), path, flags)?);
                self.keep(path, &folder);
                folder
            }
        };
        self.last.0.clear();
        self.last.0.extend_from_slice(path);
        self.last.1 = Rc::clone(&folder);
        Ok(folder)
    }

    fn keep(&mut self, path: &[u8], folder: &Rc<OwnedFd>) {
        if self.order.len() >= OPEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(path.to_vec(), Rc::clone(folder));
        self.order.push_back(path.to_vec());
    }

    /// Forgets a folder that is gone, and all below it.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.open.retain(|known, _| !is_within(known, path));
        self.order.retain(|known| !is_within(known, path));
        if is_within(&self.last.0, path) {
            self.last = (Vec::new(), Rc::clone(&self.root));
        }
    }
}

/// Opens a path below a folder, of any length, following nothing.
pub(super) fn open_beneath(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut held: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let at = held.as_ref().map_or(root, AsFd::as_fd);
        if rest.len() <= STEP_BYTES {
            return openat2(at, rest, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        }
        let cut = rest
            .get(..STEP_BYTES)
            .and_then(|head| head.iter().rposition(|b| *b == b'/'))
            .ok_or(Errno::NAMETOOLONG)?;
        let (head, tail) = rest.split_at_checked(cut).ok_or(Errno::NAMETOOLONG)?;
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let next = openat2(at, head, step, Mode::empty(), resolve)?;
        held = Some(next);
        rest = tail.get(1..).unwrap_or_default();
    }
}
