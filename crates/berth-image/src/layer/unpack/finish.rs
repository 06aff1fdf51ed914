//! What can only be done when all entries are there.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use berth_base::Digest;
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat};
use rustix::io::Errno;

use super::super::LayerError;
use super::super::entry::Attributes;
use super::super::error::printable;
use super::super::name::{LINKS, split};
use super::super::xattr::Target;
use super::create::remove_below;
use super::folders::open_beneath;
use super::{Made, PendingLink, Unpacked, Unpacker};

/// What a folder that no entry tells of gets, until [`super::settle`] knows better: the same for
/// every unpacking.
static IMPLIED: Attributes = Attributes {
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: (0, 0),
    xattrs: Vec::new(),
};

impl Unpacker<'_> {
    pub(super) fn finish(mut self) -> Result<Unpacked, LayerError> {
        self.link_pending()?;
        if self.below.is_some() {
            self.refuse_pending()?;
        } else {
            self.drop_links_folder()?;
        }
        let made = std::mem::take(&mut self.made);
        // Children come after their parents, so backwards is the deepest first.
        for (path, made) in made.iter().rev() {
            if self.below.is_some() && made.attributes.is_none() {
                continue;
            }
            let folder = open_beneath(
                self.folders.root(),
                path,
                OFlags::RDONLY | OFlags::DIRECTORY,
            )
            .map_err(|e| LayerError::io("open", path, e))?;
            self.finish_folder(folder.as_fd(), path, made)?;
        }
        self.finish_root()?;
        let root_implied = self.root.attributes.is_none().then(|| PathBuf::from("."));
        let implied = made
            .into_iter()
            .filter(|(_, made)| made.attributes.is_none())
            .map(|(path, _)| to_path(path));
        Ok(Unpacked {
            diff_id: Digest::sha256(&[0; 32]),
            bytes: 0,
            entries: self.archive.entries(),
            implied: root_implied.into_iter().chain(implied).collect(),
            pending_links: self.pending.into_iter().map(pending_link).collect(),
            opaque_root: self.root.opaque,
            notes: self.notes,
        })
    }

    fn finish_folder(
        &mut self,
        folder: BorrowedFd<'_>,
        path: &[u8],
        made: &Made,
    ) -> Result<(), LayerError> {
        if made.opaque {
            self.set_opaque(folder, path)?;
        }
        let attributes = made.attributes.as_ref().unwrap_or(&IMPLIED);
        self.dress_open(folder, path, made.mode, attributes)
    }

    fn set_opaque(&self, folder: BorrowedFd<'_>, path: &[u8]) -> Result<(), LayerError> {
        let name = self.options.xattrs.opaque().as_bytes();
        Target::Open(folder)
            .set(name, b"y")
            .map_err(|e| LayerError::io("make opaque", path, e))
    }

    /// Only an entry for it changes the layer's own folder.
    fn finish_root(&mut self) -> Result<(), LayerError> {
        let Some(attributes) = self.root.attributes.clone() else {
            return Ok(());
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(self.folders.root(), ".", flags, Mode::empty())
            .map_err(|e| LayerError::io("open", b"", e))?;
        self.dress_open(root.as_fd(), b"", u32::MAX, &attributes)
    }

    /// Hard links that came before their files.
    fn link_pending(&mut self) -> Result<(), LayerError> {
        for (path, target) in std::mem::take(&mut self.pending) {
            let made = self.link_late(&path, &target);
            match made {
                // A later entry took the name.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(Errno::NOENT | Errno::NOTDIR) => self.pending.push((path, target)),
                Err(e) => return Err(LayerError::io("make hard link", &path, e)),
            }
        }
        Ok(())
    }

    fn link_late(&mut self, path: &[u8], target: &[u8]) -> Result<(), Errno> {
        if self.whiteouts.contains(target) {
            return Err(Errno::NOENT);
        }
        let (folder, name) = split(target);
        let from = self.folders.open(folder)?;
        let (folder, new_name) = split(path);
        let to = self.folders.open(folder)?;
        linkat(&*from, name, &*to, new_name, AtFlags::empty())
    }

    /// There is no layer below that could have their files.
    fn refuse_pending(&self) -> Result<(), LayerError> {
        let Some((path, target)) = self.pending.first() else {
            return Ok(());
        };
        let (path, target) = (printable(path), printable(target));
        Err(self.archive.malformed(format!(
            "{path} is a hard link to {target}, which is not there"
        )))
    }

    /// aufs' folder has done its work once the links into it are made.
    fn drop_links_folder(&mut self) -> Result<(), LayerError> {
        if self.made.remove(LINKS).is_none() {
            return Ok(());
        }
        self.folders.forget(LINKS);
        remove_below(self.folders.root(), LINKS).map_err(|e| LayerError::io("remove", LINKS, e))
    }
}

pub(super) fn to_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn pending_link((path, target): (Vec<u8>, Vec<u8>)) -> PendingLink {
    PendingLink {
        path: to_path(path),
        target: to_path(target),
    }
}
