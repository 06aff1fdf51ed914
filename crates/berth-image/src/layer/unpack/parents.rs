//! The folder that an entry goes into.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{AtFlags, Mode, mkdirat, readlinkat, unlinkat};
use rustix::io::Errno;

use super::super::LayerError;
use super::super::error::printable;
use super::super::name::{is_reserved, join, split};
use super::{Made, Unpacker};

/// As many links as Linux follows (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// Folders that no entry tells of.
const IMPLIED_MODE: u32 = 0o755;

impl Unpacker<'_> {
    /// Opens a folder of the layer, makes it where it is missing, and tells its path without links.
    pub(super) fn folder(&mut self, path: &[u8]) -> Result<(Vec<u8>, Rc<OwnedFd>), LayerError> {
        let mut path = path.to_vec();
        // A link is resolved as a whole, a missing folder made, a whiteout replaced: each once.
        for _ in 0..4 {
            match self.folders.open(&path) {
                Ok(folder) => return Ok((path, folder)),
                Err(Errno::NOENT) => self.make_missing(&path)?,
                Err(Errno::LOOP) => path = self.follow(&path)?,
                Err(Errno::NOTDIR) => self.replace_whiteout(&path)?,
                Err(e) => return Err(LayerError::io("open", &path, e)),
            }
        }
        Err(self.not_a_folder(&path))
    }

    pub(super) fn not_a_folder(&self, path: &[u8]) -> LayerError {
        let path = printable(path);
        self.archive
            .malformed(format!("{path} is on its path and no folder"))
    }

    /// Makes the folders that are missing on a path free of links.
    fn make_missing(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let mut missing = Vec::new();
        let mut at = path;
        let mut parent = loop {
            match self.folders.open(at) {
                Ok(folder) => break folder,
                Err(Errno::NOENT) if !at.is_empty() => {
                    let (folder, name) = split(at);
                    missing.push((at, name));
                    at = folder;
                }
                Err(e) => return Err(LayerError::io("open", at, e)),
            }
        };
        for (path, name) in missing.into_iter().rev() {
            mkdirat(&*parent, name, Mode::from_raw_mode(IMPLIED_MODE))
                .map_err(|e| LayerError::io("make folder", path, e))?;
            self.made.insert(path.to_vec(), self.implied());
            parent = self
                .folders
                .open(path)
                .map_err(|e| LayerError::io("open", path, e))?;
        }
        Ok(())
    }

    fn implied(&self) -> Made {
        Made {
            attributes: None,
            mode: self.births.mode(IMPLIED_MODE),
            opaque: false,
        }
    }

    /// Turns the whiteout that is on a path into a folder that hides the one below.
    fn replace_whiteout(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let mut at = path;
        while !self.whiteouts.contains(at) {
            if at.is_empty() {
                return Err(self.not_a_folder(path));
            }
            at = split(at).0;
        }
        let (folder, name) = split(at);
        let parent = self
            .folders
            .open(folder)
            .map_err(|e| LayerError::io("open", folder, e))?;
        unlinkat(&*parent, name, AtFlags::empty()).map_err(|e| LayerError::io("replace", at, e))?;
        self.whiteouts.remove(at);
        mkdirat(&*parent, name, Mode::from_raw_mode(IMPLIED_MODE))
            .map_err(|e| LayerError::io("make folder", at, e))?;
        let made = Made {
            opaque: true,
            ..self.implied()
        };
        self.made.insert(at.to_vec(), made);
        Ok(())
    }

    /// Resolves the links on a path by reading them, component by component, from the layer's
    /// folder, which is where absolute ones begin too. What does not exist is no link.
    pub(super) fn follow(&mut self, path: &[u8]) -> Result<Vec<u8>, LayerError> {
        let mut left: Vec<Vec<u8>> = reversed(path);
        let mut done: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." if done.is_empty() && self.below.is_some() => continue,
                b".." if done.is_empty() => {
                    return Err(self
                        .archive
                        .malformed("a link on its path leads out of the layer"));
                }
                b".." => {
                    let parent = split(&done).0.len();
                    done.truncate(parent);
                    continue;
                }
                part if is_reserved(part) && self.below.is_none() => {
                    return Err(self
                        .archive
                        .malformed("a link on its path leads to a whiteout"));
                }
                _ => {}
            }
            match self.read_link(&done, &part)? {
                None => done = join(&done, &part),
                Some(target) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(self
                            .archive
                            .malformed("its path goes through too many links"));
                    }
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    left.extend(reversed(&target));
                }
            }
        }
        self.options.limits.check_path(&done)?;
        Ok(done)
    }

    fn read_link(&mut self, folder: &[u8], name: &[u8]) -> Result<Option<Vec<u8>>, LayerError> {
        let parent = match self.folders.open(folder) {
            Ok(parent) => parent,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(LayerError::io("open", folder, e)),
        };
        match readlinkat(&*parent, name, Vec::new()) {
            Ok(target) => Ok(Some(target.into_bytes())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(e) => Err(LayerError::io("read link", &join(folder, name), e)),
        }
    }
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/')
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
