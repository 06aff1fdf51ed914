//! A layer's tar into a folder, in the form in which overlayfs stacks it.
//!
//! Where archives and extractors differ, this is what happens:
//!
//! - A name's leading slashes and dots fall away; one with `..` or a NUL refuses the layer.
//! - The later of two entries of one name wins; two folders become one with the later attributes.
//! - A folder on an entry's path that the same layer made a link is followed as Docker and containerd
//!   do, but read and resolved here, below the layer's folder; the kernel itself follows none. One
//!   that leads out of it refuses the layer.
//! - Folders that entries need and the archive lacks are made 0755 and root's, and listed in
//!   [`Unpacked::implied`]; [`settle`] gives them the attributes of the layers below.
//! - A hard link to a file of the layers below waits in [`Unpacked::pending_links`] for [`settle`].
//! - A whiteout becomes a character device 0:0. Beside an entry of the same name and layer it hides
//!   what is below alone: a folder turns opaque, anything else hides it by itself.
//! - Extended attributes of overlayfs never come from an archive; those of security modules, save
//!   file capabilities, are passed over.
//! - Owner before mode before attributes: chown(2) takes away setuid and capabilities. Folders get
//!   theirs at the end, the deepest first, since entries change a folder's time and its mode can
//!   lock us out.
//!
//! A plain file of root's costs four system calls (openat, write, utimensat, close), a folder six, a
//! link two; owners, special modes and attributes one more each. Nothing is synced.

mod attributes;
mod create;
mod finish;
mod folders;
mod parents;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use berth_base::Digest;
use serde::{Deserialize, Serialize};

use self::attributes::Births;
use self::folders::Folders;
use super::entry::{Attributes, Entry, Kind};
use super::error::printable;
use super::name::{LINKS, Place, clean, join, place, split};
use super::pipeline::{self, Source};
use super::reader::Archive;
use super::{LayerError, Limits, XattrSpace};

pub(super) use attributes::chmod_entry;
pub(super) use create::{file_over_folder, folder_over_file, refuse_mounted};
pub use settle::settle;

/// More notes than this say nothing new.
const NOTES_MAX: usize = 100;

/// What to do with an archive's devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// Make them; without the right to, the layer is refused.
    #[default]
    Make,
    /// Leave out those that may not be made, with a note: what rootless does.
    Skip,
}

/// What to do with an archive's owners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Keep them.
    #[default]
    Keep,
    /// Everything belongs to who unpacks: rootless with a single id.
    Squash,
}

/// How to unpack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnpackOptions {
    /// How much of it.
    pub limits: Limits,
    /// Where opaque folders are marked.
    pub xattrs: XattrSpace,
    /// Devices.
    pub devices: Devices,
    /// Owners.
    pub ids: Ids,
}

/// A hard link whose file is not in its layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingLink {
    /// The name to make.
    pub path: PathBuf,
    /// The file of a layer below.
    pub target: PathBuf,
}

/// A layer in its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// Digest of the whole uncompressed stream, with what follows the archive's end.
    pub diff_id: Digest,
    /// Bytes of that stream.
    pub bytes: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Folders that the archive does not list, parents first; `.` is the layer's own.
    pub implied: Vec<PathBuf>,
    /// Hard links into the layers below.
    pub pending_links: Vec<PendingLink>,
    /// Everything of the layers below is hidden, which overlayfs cannot say of its root.
    pub opaque_root: bool,
    /// What was left out, a line each, safe to print.
    pub notes: Vec<String>,
}

/// Unpacks a tar stream into an empty folder, which only the caller can see.
///
/// The stream is read to its end, also where the archive ends before. After an error the folder holds
/// anything, and is to be removed. Streams longer than a buffer are
/// read and hashed by two further threads, which have ended when this returns.
pub fn unpack(
    tar: impl Read + Send,
    into: BorrowedFd<'_>,
    options: &UnpackOptions,
) -> Result<Unpacked, LayerError> {
    unpack_stream(tar, into, options, None)
}

/// As [`unpack`], for a stream whose digest the caller has verified: it is not hashed again. An
/// uncompressed blob of the store is such a stream.
pub fn unpack_verified(
    tar: impl Read + Send,
    into: BorrowedFd<'_>,
    options: &UnpackOptions,
    diff_id: &Digest,
) -> Result<Unpacked, LayerError> {
    unpack_stream(tar, into, options, Some(diff_id))
}

fn unpack_stream(
    tar: impl Read + Send,
    into: BorrowedFd<'_>,
    options: &UnpackOptions,
    known: Option<&Digest>,
) -> Result<Unpacked, LayerError> {
    let (mut unpacked, diff_id, bytes) = pipeline::run(tar, &options.limits, known, |source| {
        Unpacker::new(source, into, options, None)?.run()
    })?;
    unpacked.diff_id = diff_id;
    unpacked.bytes = bytes;
    Ok(unpacked)
}

/// Unpacks a tar stream into the folder `below` of a root, as it is: no name is a mark, what is
/// there stays or is replaced by its like, and links of the root lead where its processes see them
/// lead. `below` has no links; nothing is resolved outside of the root. A folder never takes the
/// place of a file, nor a file that of a folder.
pub fn unpack_into(
    tar: impl Read + Send,
    root: BorrowedFd<'_>,
    below: &Path,
    options: &UnpackOptions,
) -> Result<Unpacked, LayerError> {
    let below = clean(below.as_os_str().as_bytes()).unwrap_or_default();
    let (mut unpacked, diff_id, bytes) = pipeline::run(tar, &options.limits, None, |source| {
        Unpacker::new(source, root, options, Some(below))?.run()
    })?;
    unpacked.diff_id = diff_id;
    unpacked.bytes = bytes;
    Ok(unpacked)
}

/// A folder that this layer has.
#[derive(Debug, Default)]
struct Made {
    /// `None` for one that is only implied.
    attributes: Option<Attributes>,
    /// The mode it was made with.
    mode: u32,
    opaque: bool,
}

struct Unpacker<'a> {
    archive: Archive<'a>,
    options: &'a UnpackOptions,
    /// No layer: the folder of a root that is in use.
    below: Option<Vec<u8>>,
    folders: Folders,
    births: Births,
    /// By path, parents before their children.
    made: BTreeMap<Vec<u8>, Made>,
    whiteouts: BTreeSet<Vec<u8>>,
    root: Made,
    /// Names and targets.
    pending: Vec<(Vec<u8>, Vec<u8>)>,
    notes: Vec<String>,
}

impl<'a> Unpacker<'a> {
    fn new(
        source: &'a mut Source,
        into: BorrowedFd<'_>,
        options: &'a UnpackOptions,
        below: Option<Vec<u8>>,
    ) -> Result<Self, LayerError> {
        Ok(Self {
            archive: Archive::new(source, &options.limits),
            folders: Folders::new(into).map_err(|e| LayerError::io("open", b"", e))?,
            births: match below {
                Some(_) => Births::UNKNOWN,
                None => Births::probe(into)?,
            },
            options,
            below,
            made: BTreeMap::new(),
            whiteouts: BTreeSet::new(),
            root: Made::default(),
            pending: Vec::new(),
            notes: Vec::new(),
        })
    }

    fn run(mut self) -> Result<Unpacked, LayerError> {
        while let Some(entry) = self.archive.next()? {
            self.entry(entry)?;
        }
        self.finish()
    }

    fn entry(&mut self, entry: Entry) -> Result<(), LayerError> {
        let path = clean(&entry.name).map_err(|why| self.archive.malformed(why))?;
        if let Some(below) = &self.below {
            return match (path.as_slice(), entry.kind == Kind::Folder) {
                // whose attributes are its own
                (b"", true) => Ok(()),
                (b"", false) => Err(self.archive.malformed("an entry without a name")),
                (path, _) => self.place(&join(below, path), entry),
            };
        }
        match place(&path).map_err(|why| self.archive.malformed(why))? {
            Place::Root if entry.kind == Kind::Folder => {
                self.root.attributes = Some(entry.attributes);
                Ok(())
            }
            Place::Root => Err(self.archive.malformed("the layer's root is not a folder")),
            Place::Ignored => Ok(()),
            Place::Opaque { folder } => self.opaque(folder),
            Place::Whiteout { folder, name } => self.whiteout(folder, name),
            Place::At(path) => self.place(path, entry),
        }
    }

    fn place(&mut self, path: &[u8], entry: Entry) -> Result<(), LayerError> {
        // Nothing but a folder holds aufs' links.
        if entry.kind == Kind::Socket || (path == LINKS && entry.kind != Kind::Folder) {
            return Ok(());
        }
        let (folder, name) = split(path);
        let (folder, parent) = self.folder(folder)?;
        let path = join(&folder, name);
        match entry.kind {
            Kind::File => self.file(&parent, &path, &entry),
            Kind::Folder => self.make_folder(&parent, path, entry.attributes),
            Kind::Symlink => self.symlink(&parent, &path, &entry),
            Kind::HardLink => self.hard_link(&parent, path, &entry),
            _ => self.node(&parent, &path, &entry),
        }
    }

    fn opaque(&mut self, folder: &[u8]) -> Result<(), LayerError> {
        let (folder, _) = self.folder(folder)?;
        if folder.is_empty() {
            self.root.opaque = true;
        } else {
            self.made.entry(folder).or_default().opaque = true;
        }
        Ok(())
    }

    fn note(&mut self, path: &[u8], text: &str) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(format!("{}: {text}", printable(path)));
        }
    }
}
